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
from unmask.diffusion.evidence import Evident
from unmask.diffusion.process import PROCESSES, Process
from unmask.diffusion.thinking import Thinking
from unmask.errors import Error, nearest
from unmask.training.monitor import read_metrics
from unmask.training.recipe import Recipe, parse_recipe

FORMAT = 1
MANIFEST = "run.json"
RECIPE = "recipe.yaml"
WEIGHTS = "model.safetensors"


_AGAIN = "copy the run again from where it was made, or train it again"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON aside and rename it, so that a reader never sees half a file."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    os.replace(partial, path)


def make_process(recipe: Recipe, mask_id: int, vocab_size: int) -> Process:
    """Return the process that a recipe names."""
    process: Process = PROCESSES.get(recipe.process.name)(recipe.process_options(), mask_id, vocab_size)
    if recipe.evidence is not None:
        process = Evident(process, recipe.evidence.dropout)
    return process if recipe.thought is None else Thinking(process, recipe.thought)


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
        if path.is_file():
            raise Error(f"{path} is a file; give the run's folder.")
        if not path.is_dir():
            path = _from_hub(str(name))
        manifest, recipe = open_folder(path)
        if not (path / WEIGHTS).is_file():
            raise Error(
                f"run {path} has no {WEIGHTS} (status: {manifest.get('status')}); "
                f"finish it with: unmask train {path / RECIPE} --output {path} --resume"
            )
        return cls(path, manifest, recipe)

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
        return make_process(self.recipe, self.tokenizer.mask_id, self.tokenizer.vocab_size)

    def model(self, device: str | None = None) -> PreTrainedModel:
        """Load the weights (the average, if the run kept one), in evaluation mode.

        Args:
            device: Where to; default a GPU if there is one.

        Raises:
            Error: the weights are damaged, or are not those of ``config.json``.
        """
        transformers.utils.logging.disable_progress_bar()
        try:
            model, report = AutoModel.from_pretrained(
                self.path, output_loading_info=True, ignore_mismatched_sizes=True, local_files_only=True
            )
        except Exception as error:
            why = str(error).strip().split("\n")[0]
            raise Error(f"the weights of run {self.path} cannot be read ({why}); {_AGAIN}.") from error
        mismatched = {key[0] for key in report["mismatched_keys"]}
        if odd := sorted({*report["missing_keys"], *report["unexpected_keys"], *mismatched}):
            raise Error(f"the weights of run {self.path} do not fit its config.json ({odd[0]} differs); {_AGAIN}.")
        return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of ``metrics.jsonl``."""
        return read_metrics(self.path / "metrics.jsonl")


def open_folder(path: Path) -> tuple[dict[str, Any], Recipe]:
    """Return the manifest and the recipe of a run folder, finished or not.

    Raises:
        Error: not a run, damaged, or of a newer format.
    """
    if not (path / MANIFEST).is_file():
        raise Error(f"{path} is not a run folder (no {MANIFEST}); make one with: unmask train RECIPE --output DIR")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
            raise ValueError(f"{MANIFEST} has no format number")
        tree = {} if manifest["format"] > FORMAT else yaml.safe_load((path / RECIPE).read_text(encoding="utf-8"))
        if not isinstance(tree, dict):
            raise ValueError(f"{RECIPE} is no recipe")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Error(f"run {path} is damaged ({' '.join(str(error).split())}); {_AGAIN}.") from error
    if manifest["format"] > FORMAT:
        raise Error(
            f"run {path} has format {manifest['format']}, this version reads up to {FORMAT}; "
            "upgrade with: pip install -U unmask"
        )
    try:
        return manifest, parse_recipe(tree)
    except Error as error:
        raise Error(f"the {RECIPE} of run {path}: {error}") from error


def _from_hub(name: str) -> Path:
    path = Path(name)
    absent = f"there is no run folder {name}."
    if path.parent.is_dir():
        beside = [entry.name for entry in path.parent.iterdir() if (entry / MANIFEST).is_file()]
        absent += nearest(path.name, beside)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise Error(f"{absent} Make one with: unmask train RECIPE --output {name}")
    from unmask.data.hub import hub_run_folder

    try:
        return hub_run_folder(name)
    except Error as error:
        raise Error(f"{absent} Nor can it be fetched: {error}") from error
