"""A run folder: everything that training leaves and everything downstream needs, in one place.

recipe.yaml  config.json  model.safetensors  raw/model.safetensors (with EMA)  tokenizer/  run.json  metrics.jsonl
checkpoints/
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from transformers import AutoModel, PreTrainedModel

import unmask.models.registry  # noqa: F401  (AutoModel learns our networks)
from unmask.data.tokenizers import Tokenizer, load_tokenizer
from unmask.diffusion.process import PROCESSES, Process
from unmask.errors import Error
from unmask.training.monitor import read_metrics
from unmask.training.recipe import Recipe, parse_recipe

FORMAT = 1
MANIFEST = "run.json"
RECIPE = "recipe.yaml"
WEIGHTS = "model.safetensors"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON aside and rename it, so that a reader never sees half a file."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False))
    os.replace(partial, path)


def make_process(recipe: Recipe, mask_id: int) -> Process:
    """Return the process that a recipe names."""
    process: Process = PROCESSES.get(recipe.process.name)(recipe.process_options(), mask_id)
    return process


class Run:
    """A run, opened for use.

    Attributes:
        path: Its folder.
        manifest: ``run.json``: format, status, parameters, tokens_seen, corpus_fingerprint, tok_per_s, versions and
        more. recipe: The resolved recipe.
        tokenizer: The tokenizer it was trained with.
        process: Its process.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], recipe: Recipe) -> None:
        self.path = path
        self.manifest = manifest
        self.recipe = recipe

    @classmethod
    def open(cls, name: str | Path) -> Run:
        """Open a run folder, or a Hub repository that holds one (``owner/name``).

        Raises:
            Error: not a run, half-written, or of a newer format.
        """
        path = Path(name)
        if not path.is_dir():
            path = _from_hub(str(name))
        if not (path / MANIFEST).is_file():
            raise Error(f"{name} is not a run folder (no {MANIFEST}); make one with: unmask train RECIPE --output DIR")
        try:
            manifest = json.loads((path / MANIFEST).read_text())
            recipe = yaml.safe_load((path / RECIPE).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise Error(f"run {name} is damaged ({error}); train it again.") from error
        if manifest.get("format", 0) > FORMAT:
            raise Error(
                f"run {name} has format {manifest['format']}, this version reads up to {FORMAT}; "
                "upgrade with: pip install -U unmask"
            )
        if not (path / WEIGHTS).is_file():
            raise Error(
                f"run {name} has no {WEIGHTS} (status: {manifest.get('status')}); "
                f"finish it with: unmask train {path / RECIPE} --output {path} --resume"
            )
        return cls(path, manifest, parse_recipe(recipe))

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer stored with the run."""
        return load_tokenizer(self.path / "tokenizer")

    @cached_property
    def process(self) -> Process:
        """The process of the recipe."""
        return make_process(self.recipe, self.tokenizer.mask_id)

    def model(self, device: str | None = None) -> PreTrainedModel:
        """Load the weights (the average, if the run kept one), in evaluation mode.

        Args:
            device: Where to; default a GPU if there is one.

        Raises:
            Error: the weights are damaged.
        """
        transformers.utils.logging.disable_progress_bar()
        try:
            model = AutoModel.from_pretrained(self.path)
        except Exception as error:
            raise Error(f"the weights of run {self.path} cannot be read ({error}); train it again.") from error
        return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of ``metrics.jsonl``."""
        return read_metrics(self.path / "metrics.jsonl")


def _from_hub(name: str) -> Path:
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise Error(f"run folder {name} does not exist; make one with: unmask train RECIPE --output {name}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=["checkpoints/*", "raw/*"], etag_timeout=5))
    except Exception as error:
        raise Error(
            f"{name} is no local folder and cannot be fetched from the Hub ({type(error).__name__}); check the name, "
            "the network, or download the run and give its folder."
        ) from error
