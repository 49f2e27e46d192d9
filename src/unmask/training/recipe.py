"""Recipes: one YAML file says what to train, on what, how, and how its run samples by default.

A recipe may build on another (``base: name``); ``-o section.key=value`` overrides single keys; the seeds' own names
(``d_model``, ``batch_size``) are aliases. Unknown keys are refused with the nearest right one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from unmask.errors import Error, nearest

ALIASES: dict[str, dict[str, str]] = {
    "backbone": {
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "num_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "num_heads": "num_attention_heads",
        "d_ff": "intermediate_size",
    },
    "data": {"seq_len": "length", "max_length": "length", "block_size": "length"},
    "training": {
        "batch_size": "per_device_train_batch_size",
        "lr": "learning_rate",
        "steps": "max_steps",
        "warmup": "warmup_steps",
        "accumulation": "gradient_accumulation_steps",
    },
}
"""Names that the seeds use for keys of ours; ``--dry-run`` shows them resolved."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """Where the text comes from and how it becomes blocks."""

    source: str = "pydocs"
    """``pydocs``, a file, folder or glob, or ``hf:owner/name[:config]``."""
    valid: str | None = None
    """A separate source of held-out text; ``None``: a share of the documents of ``source``."""
    split: Literal["train", "judge"] = "train"
    """``judge`` trains on documents that no rival trains on, for a judge model."""
    valid_fraction: float = Field(0.05, gt=0, lt=0.5)
    judge_fraction: float = Field(0.05, gt=0, lt=0.5)
    normalize: Literal["NFC"] | None = None
    text_field: str = "text"
    tokenizer: str = "bpe"
    """``bytes``, ``bpe`` (trained on the corpus), or ``hf:owner/name``."""
    vocab_size: int = Field(2048, ge=260)
    """Token ids of a ``bpe`` tokenizer, specials included."""
    length: int = Field(128, ge=4)
    """Tokens in a block (T), BOS included."""


class ProcessSection(BaseModel):
    """The process's name, and its own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "causal"


class BackboneSection(BaseModel):
    """The network's name, and its own configuration."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "transformer"


class SamplerSection(BaseModel):
    """The default sampler of the run, and its settings. ``name`` empty: the process's own."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = ""


class TrainingSection(BaseModel):
    """How to optimise: our keys, and any field of ``transformers.TrainingArguments``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    max_steps: int = Field(1000, ge=1)
    per_device_train_batch_size: int = Field(16, ge=1)
    gradient_accumulation_steps: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(0.1, ge=0, allow_inf_nan=False)
    adam_beta2: float = Field(0.95, gt=0, lt=1)
    max_grad_norm: float = Field(1.0, ge=0)
    warmup_steps: float = Field(50, ge=0)
    lr_scheduler_type: str = "cosine_with_min_lr"
    lr_scheduler_kwargs: dict[str, Any] | None = Field(default_factory=lambda: {"min_lr_rate": 0.1})
    logging_steps: int = Field(20, ge=1)
    save_steps: int = Field(500, ge=1)
    eval_steps: int = Field(500, ge=1)
    save_total_limit: int = Field(2, ge=1)
    valid_blocks: int = Field(64, ge=0)
    """Blocks of held-out text scored during training; 0: none."""
    ema: float | None = Field(0.999, gt=0, lt=1)
    """Decay of the exponential moving average of the weights, which the run's ``model.safetensors`` then holds."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """``auto``: bf16 where the hardware is fast at it."""


class Recipe(_Section):
    """A resolved recipe."""

    name: str = "recipe"
    about: str = ""
    """One line for ``unmask recipes``."""
    seed: int = Field(0, ge=0, lt=2**32)
    data: DataSection = DataSection()
    process: ProcessSection = ProcessSection()
    backbone: BackboneSection = BackboneSection()
    sampler: SamplerSection = SamplerSection()
    training: TrainingSection = TrainingSection()

    @model_validator(mode="after")
    def _known_options(self) -> Recipe:
        self.process_options()
        _check_options("backbone", self.backbone.model_extra or {}, _backbone_kinds(self.backbone.name))
        _check_options("training", self.training.model_extra or {}, _trainer_kinds())
        self._check_sampler()
        return self

    def _check_sampler(self) -> None:
        from unmask.sampling import SAMPLERS, Settings

        given = self.sampler.model_extra or {}
        _check_options("sampler", given, get_type_hints(Settings))
        Settings(**given)
        if self.sampler.name:
            SAMPLERS.get(self.sampler.name)

    def process_options(self) -> Any:
        """Return the process's validated options."""
        from unmask.diffusion import causal, masked  # noqa: F401  (registers)
        from unmask.diffusion.process import PROCESSES

        options = PROCESSES.get(self.process.name).Options
        _check_names("process", self.process.model_extra or {}, options.model_fields)
        try:
            return options(**(self.process.model_extra or {}))
        except ValidationError as error:
            raise Error(_explain(error, "process")) from error

    def to_yaml(self) -> str:
        """Return the recipe as YAML, every key resolved."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def _backbone_kinds(name: str) -> dict[str, Any]:
    from unmask.models.registry import BACKBONES

    config = BACKBONES.get(name).config
    hints = get_type_hints(config.__init__)
    keys = inspect.signature(config.__init__).parameters
    return {key: hints[key] for key in keys if key not in ("self", "vocab_size", "kwargs")}


_ELSEWHERE = {
    "output_dir": "--output",
    "resume_from_checkpoint": "--resume",
    "do_train": "the command (train, evaluate)",
    "do_eval": "the command (train, evaluate)",
    "bf16": "training.precision",
    "fp16": "training.precision",
    "seed": "the recipe's own key seed",
    "data_seed": "the recipe's own key seed",
}
"""Fields of TrainingArguments that other keys of a recipe, or the command line, decide."""


def _trainer_kinds() -> dict[str, Any]:
    from transformers import TrainingArguments

    hints = get_type_hints(TrainingArguments)
    return {f.name: hints[f.name] for f in fields(TrainingArguments) if f.init and f.name not in _ELSEWHERE}


def _check_names(section: str, given: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for key in given:
        if section == "training" and key in _ELSEWHERE:
            raise Error(f"recipe key training.{key} is decided by {_ELSEWHERE[key]}; leave it out.")
        if key not in known:
            raise Error(f"unknown recipe key {section}.{key}.{_instead(section, key, known)}")


def _instead(section: str, wrong: str, known: list[str]) -> str:
    """Say which keys there are: the nearest one, else all, or where they are listed."""
    if hint := nearest(wrong, [*known, *ALIASES.get(section, {})]):
        return hint
    if section == "training":
        return " Known: the keys that 'unmask recipes NAME' shows, and the fields of transformers.TrainingArguments."
    return f" Known: {', '.join(sorted(known))}." if known else f" This {section} takes no options; leave it out."


def _check_options(section: str, given: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Refuse unknown names, and values of the wrong kind (a number in quotes is one, save for the Trainer's)."""
    _check_names(section, given, kinds)
    for key, value in given.items():
        try:
            TypeAdapter(kinds[key]).validate_python(value, strict=section != "training")
        except ValidationError as error:
            raise Error(_explain(error, section, key)) from error


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    return sorted(p.name.removesuffix(".yaml") for p in files("unmask.recipes").iterdir() if p.name.endswith(".yaml"))


def load_recipe(name: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a packaged name or a YAML file, with ``section.key=value`` overrides applied.

    Raises:
        Error: no such recipe, bad YAML, an unknown key, or a value of the wrong kind.
    """
    tree = _read(str(name), seen=())
    for override in overrides:
        _override(tree, override)
    return parse_recipe(tree)


def parse_recipe(tree: Mapping[str, Any]) -> Recipe:
    """Validate a recipe given as nested mappings."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise Error(_explain(error)) from error


def _read(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name in seen:
        raise Error(f"recipe {name!r} builds on itself; remove one of the base: lines.")
    path = Path(name)
    packaged = files("unmask.recipes") / f"{name}.yaml"
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise Error(f"recipe file {name} does not exist; give a path that does, or one of: {_listing()}.")
        text = _text(path)
    elif packaged.is_file():
        text = packaged.read_text(encoding="utf-8")
    else:
        raise Error(f"unknown recipe {name!r}.{nearest(name, recipe_names())} Packaged recipes: {_listing()}.")
    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise Error(f"recipe {name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise Error(f"recipe {name} must be a mapping of keys to values.")
    tree = _resolve_aliases(tree)
    tree.setdefault("name", path.stem if path.suffix else name)
    base = tree.pop("base", None)
    if base is None:
        return tree
    beside = path.parent / str(base)
    parent = _read(str(beside if path.suffix and beside.is_file() else base), (*seen, name))
    parent.pop("about", None)
    return _merge(parent, tree)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Error(f"recipe file {path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error


def _listing() -> str:
    return ", ".join(recipe_names())


def _resolve_aliases(tree: dict[str, Any]) -> dict[str, Any]:
    out = dict(tree)
    for section in ("process", "backbone", "sampler"):
        if isinstance(out.get(section), str):
            out[section] = {"name": out[section]}
    for section, table in ALIASES.items():
        if isinstance(out.get(section), dict):
            out[section] = {table.get(key, key): value for key, value in out[section].items()}
    return out


def _merge(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    out = dict(parent)
    for key, value in child.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            changed = "name" in value and value["name"] != out[key].get("name", value["name"])
            out[key] = value if changed else _merge(out[key], value)  # another part takes none of its rival's options
        else:
            out[key] = value
    return out


def _override(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise Error(f"override {override!r} must look like section.key=value.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Error(f"override {override!r} has a value that is not YAML.") from error
    if isinstance(value, str) and _is_number(value):
        value = float(value)  # YAML 1.1 reads 1e-3 as text
    path = key.split(".")
    if path[0] not in Recipe.model_fields:
        raise Error(f"unknown recipe key {path[0]!r}.{nearest(path[0], Recipe.model_fields)}")
    nested: Any = value
    for part in reversed(path[1:]):
        nested = {part: nested}
    tree.update(_merge(tree, _resolve_aliases({path[0]: nested})))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _explain(error: ValidationError, *outer: str) -> str:
    first = error.errors()[0]
    place = ".".join([*outer, *(str(part) for part in first["loc"])])
    if first["type"] == "extra_forbidden":
        section = Recipe.model_fields.get(str(first["loc"][0])) if len(first["loc"]) > 1 else None
        model = section.annotation if section else Recipe
        known = [*getattr(model, "model_fields", {}), *ALIASES.get(str(first["loc"][0]), {})]
        return f"unknown recipe key {place}.{_instead('', str(first['loc'][-1]), known)}"
    if first["type"] == "model_type":
        return f"recipe key {place} is {first['input']!r}; it must be a section of keys and values."
    return f"recipe key {place} is {first['input']!r}: {first['msg']}."
