"""A run folder: everything that training leaves and everything downstream needs, in one place.

recipe.yaml  config.json  model.safetensors  raw/model.safetensors (with EMA)  tokenizer/  run.json  metrics.jsonl
checkpoints/  calibration.json and calibration.safetensors (of ``unmask calibrate``)  sampler.json  tune/ (of
``unmask tune``)

Opening a run reads its manifest and its recipe; torch is imported when its weights are asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from unmask.arguments import checked
from unmask.data.json_file import named, read_object, read_text
from unmask.data.yaml_text import load_yaml
from unmask.errors import Error
from unmask.lines import counted, line, shell, slow
from unmask.models.safetensors_file import stored_as
from unmask.own_code import allowing
from unmask.training.calibration_file import StoredCalibration, calibrated_with
from unmask.training.combination import make_process
from unmask.training.find_run import MANIFEST as MANIFEST
from unmask.training.find_run import check_folder, find_run, is_hub_name, missing_run
from unmask.training.fingerprints import WEIGHTS as WEIGHTS
from unmask.training.fingerprints import check_fingerprint, patcher_fingerprint, weights_fingerprint
from unmask.training.named_code import check_code
from unmask.training.recipe import Recipe, parse_recipe

if TYPE_CHECKING:
    from unmask.data.tokenizers import Tokenizer
    from unmask.diffusion.process import Process
    from unmask.models.network import Denoiser
    from unmask.sampling.result_cache import ResultCache

FORMAT = 1
RECIPE = "recipe.yaml"
_AGAIN = "copy the run again from where it was made, or train it again"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON aside and rename it, so that a reader never sees half a file."""
    partial = path.with_suffix(".partial")
    text = json.dumps(content, indent=2, ensure_ascii=False)
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")  # a file's name need not be UTF-8
    os.replace(partial, path)


class Run:
    """A run, opened for use.

    Attributes:
        path: Its folder.
        manifest: ``run.json``: format, status, parameters, tokens_seen, corpus_fingerprint, tok_per_s, versions and
            more.
        recipe: The resolved recipe.
        tokenizer: The tokenizer it was trained with.
        process: Its process.
        allow_code: Whether code that its recipe names is imported.
        mapped: Whether its weights may lie in the pages of their file, which nobody may write over meanwhile.
        cache: Texts that it wrote before, to be written only once (:func:`unmask.load`); ``None``: none are kept.
    """

    cache: ResultCache | None = None
    mapped: bool = True

    @checked
    def __init__(self, path: Path, manifest: dict[str, Any], recipe: Recipe, *, allow_code: bool = False) -> None:
        self.path = path
        self.manifest = manifest
        self.recipe = recipe
        self.allow_code = allow_code

    @classmethod
    @checked
    def open(cls, run: str | Path, *, allow_code: bool = False) -> Run:
        """Open a run folder, ``runs/NAME`` by its name, or a Hub repository that holds one (``owner/name``).

        Args:
            run: Which.
            allow_code: Import code that its recipe names (a schedule ``module:function``): for runs of people whom you
                trust. Nothing else in a run folder is ever run.

        Raises:
            Error: not a run, half-written, damaged, or of a newer format.
        """
        path = find_run(run) or _from_hub(str(run))
        with allowing(allow_code):
            manifest, recipe = open_folder(path)
        if not (path / WEIGHTS).is_file():
            raise Error(
                f"run {path} has no {WEIGHTS} (status: {manifest.get('status')}); "
                f"finish it with: unmask train {shell(path / RECIPE)} --output {shell(path)} --resume"
            )
        return cls(path, manifest, recipe, allow_code=allow_code)

    def __repr__(self) -> str:
        told = self.manifest
        sizes = counted(told.get("parameters", 0), "parameter"), counted(told.get("tokens_seen", 0), "token") + " seen"
        return line("Run", str(self.path), self.recipe.process.name, *sizes, str(told.get("status")))

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @cached_property
    def stored_as(self) -> str:
        """What the weights are stored as: ``float32``, ``bfloat16``, ``int8``."""
        return stored_as(self.path / WEIGHTS)

    @property
    def imported(self) -> bool:
        """Whether it was trained elsewhere (``unmask import``), on text that is not known here."""
        return "imported" in self.manifest

    @property
    def has_texts(self) -> bool:
        """Whether it learned from texts that are known here: not elsewhere, and not the responses of talks."""
        return not self.imported and self.recipe.data.format != "chat"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer stored with the run.

        Raises:
            Error: it is damaged, or not the one that the run was trained with.
        """
        from unmask.data.tokenizers import load_tokenizer

        found = load_tokenizer(self.path / "tokenizer")
        check_fingerprint(self.path, self.manifest, "tokenizer", found.fingerprint)
        return found

    @cached_property
    def process(self) -> Process:
        """The process of the recipe."""
        with allowing(self.allow_code):
            return make_process(self.recipe, self.tokenizer.vocabulary)

    @checked
    def model(self, device: str | None = None, *, half: bool = False) -> Denoiser:
        """Load the weights (the average, if the run kept one) to compute in float32, in evaluation mode.

        They stay in the file's pages where they are stored so, and matrices of 8 bits stay those. The network's class
        is the one of ours that the recipe names, whatever else lies in the folder.

        Args:
            device: Where to; default a GPU if there is one.
            half: Whether it is to compute in bfloat16 (:mod:`unmask.models.half`).

        Raises:
            Error: the weights are damaged, or are not those of ``config.json`` or of ``run.json``.
        """
        import torch

        from unmask.models.backbones import BACKBONES
        from unmask.models.half import halved

        kind = BACKBONES.get(self.recipe.backbone.name).model
        with slow(f"reading {self.name}"):
            model = kind.from_pretrained(self.path, computed=torch.float32, small=True, mapped=self.mapped)
            check_fingerprint(self.path, self.manifest, "weights", weights_fingerprint(self.path))
        check_fingerprint(self.path, self.manifest, "patcher", patcher_fingerprint(self.path))
        model.calibration = StoredCalibration(self.path, self.manifest.get("weights_fingerprint"))
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        return halved(model) if half else model

    @property
    def calibration(self) -> dict[str, Any]:
        """What ``calibration.json`` says: the map of confidences, how it was fitted, what it is worth.

        Raises:
            Error: there is none, it is damaged, or it was fitted to other weights.
        """
        return calibrated_with(self.path, self.manifest.get("weights_fingerprint"))

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of ``metrics.jsonl``."""
        from unmask.training.monitor import read_metrics

        return read_metrics(self.path / "metrics.jsonl")


def open_folder(path: Path) -> tuple[dict[str, Any], Recipe]:
    """Return the manifest and the recipe of a run folder, finished or not.

    Raises:
        Error: not a run, damaged, or of a newer format.
    """
    check_folder(path)
    manifest = read_object(path / MANIFEST, _AGAIN)
    form = manifest.get("format")
    if isinstance(form, int) and form > FORMAT:
        raise Error(
            f"run {path} has format {form}, this version reads up to {FORMAT}; upgrade with: pip install -U unmask"
        )
    _check_kinds(path, manifest)
    text = read_text(path / RECIPE, _AGAIN, most=1 << 20)
    try:
        tree = load_yaml(text)
        if not isinstance(tree, dict):
            raise ValueError(f"it holds {named(tree)}, not a recipe")
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())[:200]
        raise Error(f"{path / RECIPE} cannot be read ({why}); {_AGAIN}.") from error
    try:
        recipe = parse_recipe(tree)
        check_code(recipe)
    except Error as error:
        raise Error(f"the {RECIPE} of run {path}: {error}") from error
    if (told := manifest.get("process", recipe.process.name)) != recipe.process.name:
        raise Error(
            f"run {path} was trained as {told} ({MANIFEST}), and its {RECIPE} says {recipe.process.name}: they are of "
            f"two runs; {_AGAIN}."
        )
    return manifest, recipe


_KINDS: dict[str, Any] = {
    "format": int,
    "parameters": int,
    "steps": int,
    "tokens_seen": int,
    "train_bytes": int,
    "threads": int | None,
    "tok_per_s": int | float,
    "train_seconds": int | float,
    "training_flops": int | float,
    "epochs": int | float,
    "valid_nats_per_token": int | float,
    "valid_bits_per_byte": int | float,
    "corpus_at": dict,
    "versions": dict,
    "evidence": dict,
    "init": dict,
    "imported": dict,
    "imported_from": str,
    "held_out_source": str,
    "adapted": dict,
    "trained_parameters": int,
    "valid_of": str,
    **dict.fromkeys(("total_tokens_seen", "total_training_flops", "total_train_seconds"), int | float | None),
    **dict.fromkeys(("run", "at", "recipe_fingerprint"), str),
    **dict.fromkeys(("status", "recipe", "process", "corpus", "split", "tokenizer", "precision", "device"), str),
    **dict.fromkeys(("corpus_fingerprint", "tokenizer_fingerprint", "valid_bound"), str),
    **dict.fromkeys(("weights_fingerprint", "patcher_fingerprint"), str),
}
"""Key of the manifest -> what it holds where it is there."""


def _check_kinds(path: Path, manifest: Mapping[str, Any]) -> None:
    if "format" not in manifest:
        raise Error(f"{path / MANIFEST} has no format number; {_AGAIN}.")
    _check_values(path, manifest)
    _check_values(path, manifest.get("init", {}), "init.")


def _check_values(path: Path, told: Mapping[str, Any], before: str = "") -> None:
    for key, kind in _KINDS.items():
        if key in told and (not isinstance(told[key], kind) or isinstance(told[key], bool)):
            raise Error(f"{path / MANIFEST}: {before}{key} is {named(told[key])}, which it cannot be; {_AGAIN}.")


def _from_hub(name: str) -> Path:
    absent = missing_run(name)
    if not is_hub_name(name):
        raise Error(absent)
    from unmask.data.hub import hub_run_folder

    try:
        return hub_run_folder(name)
    except Error as error:
        raise Error(f"{absent} Nor can it be fetched: {error}") from error
