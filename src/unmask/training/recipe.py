"""Recipes: one YAML file says what to train, on what, how, and how its run samples by default.

A recipe may build on another (``base: name``); ``-o section.key=value`` overrides single keys; names of the systems
of docs/origins.md (``d_model``, ``batch_size``) are aliases. Unknown keys are refused with the nearest right one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from unmask.data.yaml_text import load_yaml
from unmask.diffusion.distill_options import DistillOptions
from unmask.diffusion.registry import PROCESSES
from unmask.diffusion.thought_options import ThoughtOptions
from unmask.errors import Error, nearest, warn_renamed
from unmask.lines import counted, line
from unmask.sampling.registry import SAMPLERS
from unmask.sampling.settings import Settings
from unmask.training.combination import check_chat, check_combination, check_lora, check_sampler
from unmask.training.lora_options import LoraOptions
from unmask.training.options import backbone_kinds, check_names, check_options, explain, places_of
from unmask.training.qcontroller.options import RENAMED, VARIANTS, ControllerOptions
from unmask.training.sections import (
    ALIASES,
    SECTIONS,
    BackboneSection,
    DataSection,
    DecideSection,
    EvidenceSection,
    ProcessSection,
    SamplerSection,
    Section,
    TrainingSection,
)
from unmask.training.trainer_check import check_trainer
from unmask.training.trainer_choices import ADAM, DEFAULT_SCHEDULE
from unmask.training.trainer_keys import trainer_kinds
from unmask.training.values import is_text, read_value


class Recipe(Section):
    """A resolved recipe."""

    name: str = "recipe"
    """The name of its runs: ``runs/NAME``."""
    about: str = ""
    """One line for ``unmask recipes``."""
    seed: int = Field(0, ge=0, lt=2**32)
    """What the first weights, the order of the examples and their noise are drawn from."""
    data: DataSection = DataSection()
    process: ProcessSection = ProcessSection()
    backbone: BackboneSection = BackboneSection()
    sampler: SamplerSection = SamplerSection()
    training: TrainingSection = TrainingSection()
    qcontroller: SerializeAsAny[ControllerOptions] | None = Field(None, exclude_if=lambda value: value is None)
    """What steers the optimiser; a name alone is a controller with its defaults."""
    thought: ThoughtOptions | None = None
    """Passages with thoughts; a list alone is the thought's shape."""
    evidence: EvidenceSection | None = Field(None, exclude_if=lambda value: value is None)
    """Retrieved texts as memory; a folder alone is the index."""
    distill: DistillOptions | None = Field(None, exclude_if=lambda value: value is None)
    """What a student learns from the run of ``training.init``, its first teacher."""
    lora: LoraOptions | None = Field(None, exclude_if=lambda value: value is None)
    """Adapters that are trained in place of all weights, beside those of the run of ``training.init``."""
    decide: DecideSection | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(cls, given: Any, check: ModelWrapValidatorHandler[Recipe]) -> Recipe:
        try:
            return check(given)
        except ValidationError as error:
            raise Error(explain(error, top=cls.model_fields)) from error

    @field_validator("qcontroller", mode="before")
    @classmethod
    def _controller(cls, given: Any) -> ControllerOptions | None:
        if given is None or isinstance(given, ControllerOptions):
            return given
        name = given.get("name") if isinstance(given, Mapping) else given
        if isinstance(name, str) and name in RENAMED:
            warn_renamed(f"qcontroller: {name}", f"qcontroller: {RENAMED[name]}")
            name, given = RENAMED[name], {**(given if isinstance(given, Mapping) else {}), "name": RENAMED[name]}
        options = VARIANTS.get(name) if isinstance(name, str) else None
        if options is None or not isinstance(given, Mapping):
            hint = nearest(name, VARIANTS) if isinstance(name, str) else ""
            told = name if isinstance(given, Mapping) and given.keys() == {"name"} else given
            raise Error(f"recipe key qcontroller is {told!r}; name one of: {', '.join(VARIANTS)}.{hint}")
        check_names("qcontroller", given, options.model_fields)
        try:
            return options.model_validate(given)
        except ValidationError as error:
            raise Error(explain(error, "qcontroller")) from error

    @model_validator(mode="after")
    def _known_options(self) -> Recipe:
        self.process_options()
        check_options("backbone", self.backbone.model_extra or {}, backbone_kinds(self.backbone.name))
        self._check_match()
        check_options("training", self.training.model_extra or {}, trainer_kinds())
        self._check_sampler()
        self._check_binary()
        if self.evidence is not None and self.evidence.query >= self.data.length - 1:
            raise Error(
                f"evidence.query is {self.evidence.query} tokens, and a block of data.length {self.data.length} holds "
                "no more behind it; make it smaller."
            )
        check_combination(self)
        self._check_distill()
        check_lora(self)
        check_chat(self)
        return self

    def _check_distill(self) -> None:
        if self.distill is None:
            return
        self.distill.check(self.process_options())
        if self.training.init is None:
            raise Error("distill needs a teacher: set training.init=run:DIR, or use: unmask distill RUN.")
        if self.thought is not None or self.evidence is not None:
            raise Error("distill takes neither thoughts nor evidence; leave those sections out.")

    def _check_match(self) -> None:
        match = self.backbone.match
        if match is None:
            return
        if (self.backbone.model_extra or {}).get("intermediate_size") is not None:
            raise Error("backbone.match chooses intermediate_size; leave it out, or say the rival's inside match.")
        rival = match.get("name")
        if not isinstance(rival, str):
            raise Error("backbone.match needs the name of the network to match, such as {name: transformer}.")
        check_options("backbone.match", {k: v for k, v in match.items() if k != "name"}, backbone_kinds(rival))

    def _check_binary(self) -> None:
        if not self.data.binary:
            return
        if self.data.tokenizer != "bytes":
            raise Error(f"data.binary models bytes, and data.tokenizer is {self.data.tokenizer!r}; set it to bytes.")
        if self.data.normalize is not None:
            raise Error("data.normalize is for text, and data.binary models bytes as they are; leave one out.")
        if (self.backbone.model_extra or {}).get("utf8"):
            raise Error(
                "backbone.utf8 gives what is not UTF-8 probability 0, and data.binary models any bytes; "
                "set backbone.utf8=false."
            )
        if self.evidence is not None:
            raise Error("evidence is looked up by text, and data.binary models bytes; leave one out.")

    def _check_sampler(self) -> None:
        own = self.sampler.name or PROCESSES.facts(self.process.name).sampler
        check_names("sampler", self.sampler.model_extra or {}, SAMPLERS.facts(own).model_fields)
        try:
            self.sampler_settings()
        except Error as error:
            raise Error(f"recipe key sampler.{error}") from error

    def sampler_settings(self, name: str | None = None) -> Settings:
        """Return how a run samples by default: the settings of its sampler, or those that mean something to another.

        Args:
            name: Of the other sampler; ``None``: the recipe's, else the process's.

        Raises:
            UnknownPart: no such sampler.
        """
        own = self.sampler.name or PROCESSES.facts(self.process.name).sampler
        settings: type[Settings] = SAMPLERS.facts(name or own)
        given = self.sampler.model_extra or {}
        known = settings.model_fields if name not in (None, own) else given
        return settings(**{key: value for key, value in given.items() if key in known})

    def process_options(self) -> Any:
        """Return the process's validated options."""
        options = PROCESSES.facts(self.process.name)
        check_names("process", self.process.model_extra or {}, options.model_fields)
        try:
            return options(**(self.process.model_extra or {}))
        except ValidationError as error:
            raise Error(explain(error, "process")) from error

    def __repr__(self) -> str:
        epochs = self.training.epochs
        steps = counted(self.training.max_steps, "step") if epochs is None else f"{epochs:g} epochs"
        parts = f"{self.process.name} {self.backbone.name}", f"data {self.data.source}"
        return line("Recipe", self.name, *parts, steps)

    __str__ = __repr__

    def to_yaml(self) -> str:
        """Return the recipe as YAML, every key resolved."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    return sorted(
        p.name.removesuffix(".yaml") for p in files("unmask.packaged.recipes").iterdir() if p.name.endswith(".yaml")
    )


def load_recipe(recipe: str | Path, overrides: Iterable[str | tuple[str, Any]] = ()) -> Recipe:
    """Return the recipe of a packaged name or a YAML file, with ``section.key=value`` overrides applied.

    Args:
        recipe: A packaged name, or a file that ends in ``.yaml``.
        overrides: ``section.key=value`` as typed, or the key and its value.

    Raises:
        Error: no such recipe, bad YAML, an unknown key, or a value of the wrong kind.
    """
    tree = _read(str(recipe), seen=())
    for override in sorted(overrides, key=_belongs):
        _override(tree, override)
    resolved = parse_recipe(tree)
    check_sampler(resolved)
    check_trainer(resolved.training)
    return resolved


def parse_recipe(tree: Mapping[str, Any]) -> Recipe:
    """Validate a recipe given as nested mappings.

    Raises:
        Error: an unknown key, a value of the wrong kind, or a name that is not UTF-8.
    """
    recipe = Recipe.model_validate(tree)
    _refuse_switches(tree, recipe.model_dump())
    try:  # a run keeps it as text
        json.dumps(recipe.model_dump(), ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        place = error.object[max(0, error.start - 24) : error.end + 24]
        raise Error(f"the recipe holds a name that is not UTF-8 ({place!r}). Rename what it names.") from error
    return recipe


def _refuse_switches(given: Mapping[str, Any], read: Mapping[str, Any], before: str = "") -> None:
    """Refuse ``yes``, ``on`` and ``true`` where a number belongs: they would be 1."""
    for key, value in given.items():
        found = read.get(key)
        if isinstance(value, Mapping) and isinstance(found, Mapping):
            _refuse_switches(value, found, f"{before}{key}.")
        elif isinstance(value, bool) and isinstance(found, int | float) and not isinstance(found, bool):
            raise Error(f"recipe key {before}{key} is {value}, and takes a number. In YAML, yes and on stand for true.")


def _read(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name in seen:
        raise Error(f"recipe {name!r} builds on itself; remove one of the base: lines.")
    path = Path(name)
    packaged = files("unmask.packaged.recipes") / f"{name}.yaml"
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise Error(f"recipe file {name} does not exist; give a path that does, or one of: {_listing()}.")
        text = _text(path)
    elif packaged.is_file():
        text = packaged.read_text(encoding="utf-8")
    else:
        raise Error(f"unknown recipe {name!r}.{nearest(name, recipe_names())} Packaged recipes: {_listing()}.")
    try:
        tree = load_yaml(text, _is_text) or {}
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


def _is_text(path: tuple[str, ...]) -> bool:
    return path == ("base",) or is_text(".".join(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Error(f"recipe file {path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error


def _listing() -> str:
    return ", ".join(recipe_names())


def _resolve_aliases(tree: dict[str, Any]) -> dict[str, Any]:
    out = dict(tree)
    for section in ("process", "backbone", "sampler", "qcontroller"):
        if isinstance(out.get(section), str):
            out[section] = {"name": out[section]}
    if isinstance(out.get("thought"), list):
        out["thought"] = {"shape": out["thought"]}
    if isinstance(out.get("evidence"), str):
        out["evidence"] = {"index": out["evidence"]}
    for section, table in ALIASES.items():
        if isinstance(out.get(section), dict):
            out[section] = {table.get(key, key): value for key, value in out[section].items()}
    if isinstance(out.get("training"), dict) and "no_amp" in out["training"]:
        out["training"] = _without_amp(out["training"])
    backbone = out.get("backbone")
    if isinstance(backbone, dict) and isinstance(backbone.get("match"), dict):
        match = {ALIASES["backbone"].get(key, key): value for key, value in backbone["match"].items()}
        out["backbone"] = {**backbone, "match": match}
    return out


def _without_amp(training: dict[str, Any]) -> dict[str, Any]:
    """Return a training section with ``no_amp``, an original's own name, as our ``precision``."""
    out = {key: value for key, value in training.items() if key != "no_amp"}
    asked, precision = training["no_amp"], out.get("precision", "fp32")
    if not isinstance(asked, bool):
        raise Error(f"recipe key training.no_amp is {asked!r}; it must be true or false.")
    if asked and precision != "fp32":
        raise Error(f"training.no_amp means training.precision=fp32, and that is {precision!r}; leave one out.")
    return {**out, "precision": "fp32"} if asked else out


_INSTEAD = {"epochs": "max_steps", "max_steps": "epochs"}
"""Keys of which the one that is said last replaces the other."""
_BELONGS = {"lr_scheduler_kwargs": ("lr_scheduler_type", DEFAULT_SCHEDULE), "optim_args": ("optim", ADAM[-1])}
"""Options of a choice -> the choice, and its default: another one takes none of its rival's options."""


def _belongs(override: str | tuple[str, Any]) -> bool:
    """Tell what has to come last, whatever its place: options of a choice that may be named beside them."""
    key = override.partition("=")[0] if isinstance(override, str) else override[0]
    return key.removeprefix("training.") in _BELONGS or key.partition(".")[0] == "sampler"


def _merge(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    gone = {key for key, (choice, usual) in _BELONGS.items() if child.get(choice, a := parent.get(choice, usual)) != a}
    out = {key: value for key, value in parent.items() if _INSTEAD.get(key) not in child and key not in gone}
    for key, value in child.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            changed = "name" in value and value["name"] != out[key].get("name", value["name"])
            if changed and key == "process" and "sampler" not in child:
                out.pop("sampler", None)  # its own is the default again
            out[key] = value if changed else _merge(out[key], value)  # another part takes none of its rival's options
        else:
            out[key] = value
    return out


def _override(tree: dict[str, Any], override: str | tuple[str, Any]) -> None:
    if isinstance(override, str):
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise Error(f"override {override!r} must look like section.key=value.")
        _check_key(key)
        value = read_value(key, text)
    else:
        key, value = override
        _check_key(key)
    path = key.split(".")
    nested: Any = value
    for part in reversed(path[1:]):
        nested = {part: nested}
    merged = _merge(tree, _resolve_aliases({path[0]: nested}))
    tree.clear()
    tree.update(merged)


def _check_key(key: str) -> None:
    """Refuse a key of no section, and say where such a key is."""
    section, _, rest = key.partition(".")
    if section in Recipe.model_fields:
        return
    if not rest and (places := places_of(section)):
        raise Error(f"unknown recipe key {section!r}. Did you mean {' or '.join(places)}?")
    hint = nearest(section, Recipe.model_fields) or f" Keys are section.key; sections: {', '.join(SECTIONS)}."
    raise Error(f"unknown recipe key {section!r}.{hint}")
