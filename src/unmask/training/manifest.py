"""``run.json`` of a training that begins: what is trained, on what, and with what. A resumed one must find the same."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from unmask import __version__
from unmask.errors import Error
from unmask.training.hardware import device_name
from unmask.training.places import places
from unmask.training.plan import Plan
from unmask.training.precision import Precision
from unmask.training.prepared import Prepared
from unmask.training.run import FORMAT


def new_manifest(
    plan: Plan, text: Prepared, computed: Precision, world_size: int, begun: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Return the manifest of a training that takes its first step now.

    Args:
        plan: What is trained.
        text: On what.
        computed: In which numbers.
        world_size: On how many devices.
        begun: The manifest of the run that goes on, which keeps its epochs and places; empty for a new one.
        folder: The run's.

    Raises:
        Error: the run is to go on with another text or other evidence than it was started with.
    """
    recipe, evidence = plan.recipe, None if text.evidence is None else text.evidence.found.told
    if begun:
        _check_same(begun, text, evidence, folder)
    told = {} if evidence is None else {"evidence": evidence}
    if (epochs := begun.get("epochs", recipe.training.epochs)) is not None:
        told["epochs"] = epochs
    if plan.start is not None or "init" in begun:
        told["init"] = begun["init"] if plan.start is None else plan.start.told()
    return {
        "format": FORMAT,
        "status": "running",
        "recipe": recipe.name,
        "process": plan.process.name,
        "parameters": plan.parameters,
        "corpus": text.corpus.source,
        "corpus_fingerprint": text.corpus.fingerprint,
        "corpus_at": begun.get("corpus_at", places(recipe)),
        "split": recipe.data.split,
        "tokenizer": text.tokenizer.name,
        "tokenizer_fingerprint": text.tokenizer.fingerprint,
        "blocks": len(text.blocks),
        "train_bytes": text.blocks.bytes,
        "precision": str(computed),
        "precision_why": computed.why,
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "world_size": world_size,
        "versions": {
            "unmask": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        **told,
    }


def _check_same(begun: Mapping[str, Any], text: Prepared, evidence: dict[str, Any] | None, folder: Path) -> None:
    corpus = text.corpus
    if (then := begun.get("corpus_fingerprint")) != corpus.fingerprint:
        raise Error(
            f"the corpus {corpus.source} has changed since {folder} was started ({then} then, {corpus.fingerprint} "
            "now); put the old text back, or start a new run in another --output."
        )
    if (then := begun.get("evidence")) != evidence:
        raise Error(
            f"the evidence of {folder} has changed since it was started ({then} then, {evidence} now); put "
            "the old index back, or start a new run in another --output."
        )
