"""A run folder: everything that training leaves and everything downstream needs, in one place.

recipe.yaml  config.json  model.safetensors  raw/model.safetensors (with EMA)  tokenizer/  run.json  metrics.jsonl
checkpoints/

Opening a run reads its manifest and its recipe; torch is imported when its weights are asked for.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from unmask.arguments import checked
from unmask.data.yaml_text import load_yaml
from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.lines import counted, line
from unmask.training.find_run import MANIFEST as MANIFEST
from unmask.training.find_run import find_run, missing_run
from unmask.training.recipe import Recipe, parse_recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from unmask.data.tokenizers import Tokenizer
    from unmask.diffusion.process import Process

FORMAT = 1
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
    from unmask.diffusion.evidence import Evident
    from unmask.diffusion.thinking import Thinking

    process: Process = PROCESSES.get(recipe.process.name)(recipe.process_options(), mask_id, vocab_size)
    if recipe.evidence is not None:
        process = Evident(process, recipe.evidence.dropout)
    return process if recipe.thought is None else Thinking(process, recipe.thought)


class Run:
    """A run, opened for use.

    Attributes:
        path: Its folder.
        manifest: ``run.json``: format, status, parameters, tokens_seen, corpus_fingerprint, tok_per_s, versions and
            more.
        recipe: The resolved recipe.
        tokenizer: The tokenizer it was trained with.
        process: Its process.
    """

    @checked
    def __init__(self, path: Path, manifest: dict[str, Any], recipe: Recipe) -> None:
        self.path = path
        self.manifest = manifest
        self.recipe = recipe

    @classmethod
    @checked
    def open(cls, name: str | Path) -> Run:
        """Open a run folder, ``runs/NAME`` by its name, or a Hub repository that holds one (``owner/name``).

        Raises:
            Error: not a run, half-written, or of a newer format.
        """
        path = find_run(name) or _from_hub(str(name))
        manifest, recipe = open_folder(path)
        if not (path / WEIGHTS).is_file():
            raise Error(
                f"run {path} has no {WEIGHTS} (status: {manifest.get('status')}); "
                f"finish it with: unmask train {path / RECIPE} --output {path} --resume"
            )
        return cls(path, manifest, recipe)

    def __repr__(self) -> str:
        told = self.manifest
        sizes = counted(told.get("parameters", 0), "parameter"), counted(told.get("tokens_seen", 0), "token") + " seen"
        return line("Run", str(self.path), self.recipe.process.name, *sizes, str(told.get("status")))

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer stored with the run."""
        from unmask.data.tokenizers import load_tokenizer

        return load_tokenizer(self.path / "tokenizer")

    @cached_property
    def process(self) -> Process:
        """The process of the recipe."""
        return make_process(self.recipe, self.tokenizer.mask_id, self.tokenizer.vocab_size)

    @checked
    def model(self, device: str | None = None) -> PreTrainedModel:
        """Load the weights (the average, if the run kept one), in evaluation mode.

        Args:
            device: Where to; default a GPU if there is one.

        Raises:
            Error: the weights are damaged, or are not those of ``config.json``.
        """
        import torch
        from transformers import AutoModel
        from transformers.utils import logging

        import unmask.models.registry  # noqa: F401  (AutoModel learns our networks)

        logging.disable_progress_bar()
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
        from unmask.training.monitor import read_metrics

        return read_metrics(self.path / "metrics.jsonl")


def open_folder(path: Path) -> tuple[dict[str, Any], Recipe]:
    """Return the manifest and the recipe of a run folder, finished or not.

    Raises:
        Error: not a run, damaged, or of a newer format.
    """
    if not (path / MANIFEST).is_file():
        raise Error(f"{path} is not a run folder (no {MANIFEST}); make one with: unmask train RECIPE --output DIR")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8-sig"))
        if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
            raise ValueError(f"{MANIFEST} has no format number")
        tree = {} if manifest["format"] > FORMAT else load_yaml((path / RECIPE).read_text(encoding="utf-8-sig"))
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
    absent = missing_run(name)
    if not is_hub_name(name):
        raise Error(absent)
    from unmask.data.hub import hub_run_folder

    try:
        return hub_run_folder(name)
    except Error as error:
        raise Error(f"{absent} Nor can it be fetched: {error}") from error


def is_hub_name(name: str) -> bool:
    """Tell whether a name may be that of a Hub repository (``owner/name``), and not of a run beside others."""
    beside = any(Path(name).parent.glob(f"*/{MANIFEST}"))
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not beside
