"""Evidence for what is written: texts of an index, looked up by the prompt, as the network's memory and to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.errors import Error
from unmask.lines import shell
from unmask.roots.evidence import check_filled, forms, look_up, vectors_of
from unmask.roots.index import Index, open_index
from unmask.roots.search.near import CLOSE, Own, own
from unmask.training.run import Run

TEXTS = 4
"""Texts that are looked up for a run whose recipe does not say how many."""


@dataclass(frozen=True)
class EvidenceText:
    """A text that the network was given.

    Attributes:
        text: The text.
        score: Cosine with the query.
        document: Number of its document in the index.
        id: Its number in the index.
    """

    text: str
    score: float
    document: int
    id: int


@dataclass(frozen=True)
class Gathered:
    """What a prompt found.

    Attributes:
        query: What was looked up: the prompt's first tokens, as many as training looked up.
        texts: What was found, best first.
        memory: Their vectors; ``None``: nothing was found.
    """

    query: str
    texts: list[EvidenceText]
    memory: Float[Tensor, "M E"] | None


def gather(run: Run, model: Any, index: str | Path | Index, prompt: Sequence[int], texts: int | None) -> Gathered:
    """Look a prompt up, equal texts and near-copies of it left out as in training.

    Args:
        run: The run that will write.
        model: Its network.
        index: Folder of an index, or an opened one.
        prompt: Token ids, without BOS.
        texts: How many; ``None``: as many as the run was trained with.

    Raises:
        Error: a run that takes no evidence, an index that does not fit it or is empty, or nothing to look up.
    """
    width, section = int(getattr(model.config, "memory_width", 0)), run.recipe.evidence
    if not width:
        raise Error(
            f"run {run.path} takes no evidence; train one with evidence.index (docs/how-to/write-with-evidence.md), "
            "or leave --index out."
        )
    most = texts if texts is not None else section.texts if section else TEXTS
    if most < 1:
        raise Error(f"evidence is {most}; ask for at least 1 text, or leave --index out.")
    opened = index if isinstance(index, Index) else open_index(index)
    _check_fits(run, opened, width)
    query = run.tokenizer.decode(list(prompt[: section.query] if section else prompt))
    if not query.strip():
        raise Error("evidence is looked up by the prompt, and it is empty; give one with --prompt.")
    mine = [own(opened.segments, opened.firsts, form) for form in forms(query)]
    documents, digests = (
        frozenset().union(*part) for part in zip(*((m.documents, m.digests) for m in mine), strict=True)
    )
    left_out = Own(documents, digests, CLOSE)
    members, scores = look_up(opened, opened.reader(), [query], min(most, len(opened)), [left_out])
    found = [
        EvidenceText(opened.text(member), float(score), opened.document(member), member)
        for member, score in zip(members[0].tolist(), scores[0], strict=True)
        if member >= 0
    ]
    there = members[:, : len(found)]
    memory = torch.from_numpy(vectors_of(opened, there)[0].astype("float16").astype("float32")) if found else None
    return Gathered(query, found, memory)


def _check_fits(run: Run, index: Index, width: int) -> None:
    check_filled(index)
    if index.manifest.width != width:
        raise Error(
            f"the index {index.path} has vectors of {index.manifest.width} numbers and run {run.path} takes {width}; "
            "build the index with the embedder of the run's."
        )
    trained = run.manifest.get("evidence", {}).get("embedder")
    if trained not in (None, index.manifest.embedder):
        raise Error(
            f"run {run.path} learned to read vectors of {trained}, and the index {index.path} has those of "
            f"{index.manifest.embedder}; build it with: "
            f"unmask index build SOURCE --output DIR --embedder {shell(trained)}"
        )
