"""Which keys each part of a recipe takes, and what to say to one who gives another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from unmask.errors import Error, closest, nearest
from unmask.training.qcontroller.options import VARIANTS
from unmask.training.sections import ALIASES, SECTIONS
from unmask.training.trainer_choices import FORMER
from unmask.training.trainer_keys import ELSEWHERE, trainer_kinds


def backbone_kinds(name: str) -> dict[str, Any]:
    """Return the options that a network's configuration takes, with their types."""
    from unmask.models.backbones import BACKBONES

    return {key: kind for key, kind in BACKBONES.get(name).options.items() if key not in ("vocab_size", "thought")}


def part_keys() -> dict[str, dict[str, dict[str, Any]]]:
    """Return section -> part -> key -> type, of all that a recipe can say; the part is ``""`` where there are none."""
    from unmask.diffusion.registry import PROCESSES
    from unmask.models.backbones import BACKBONES
    from unmask.sampling.registry import SAMPLERS

    def of(model: type[BaseModel]) -> dict[str, Any]:
        return {key: field.annotation for key, field in model.model_fields.items()}

    keys = {section: {"": of(model)} for section, model in SECTIONS.items()}
    keys["process"] |= {name: of(PROCESSES.facts(name)) for name in PROCESSES}
    keys["backbone"] |= {name: backbone_kinds(name) for name in BACKBONES}
    keys["sampler"] |= {name: of(SAMPLERS.facts(name)) for name in SAMPLERS}
    keys["training"] |= {"trainer": trainer_kinds()}
    keys["qcontroller"] |= {name: of(model) for name, model in VARIANTS.items()}
    return keys


def places_of(wrong: str) -> list[str]:
    """Return the keys, with their sections, that have a name; if none has it, the nearest one of any section."""
    names = {
        section: dict.fromkeys([*(key for known in parts.values() for key in known), *ALIASES.get(section, {})])
        for section, parts in part_keys().items()
    }
    if found := [f"{section}.{wrong}" for section, known in names.items() if wrong in known]:
        return found
    near = closest(wrong, [*names, *(key for known in names.values() for key in known)])
    return [f"{section}.{near}" for section, known in names.items() if near in known and near not in names]


def check_names(section: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise Error for a key that a section does not know, with the nearest one that it does."""
    known = list(known)
    for key in given:
        if section == "training" and key in ELSEWHERE:
            raise Error(f"recipe key training.{key} is decided by {ELSEWHERE[key]}; leave it out.")
        if section == "training" and key in FORMER:
            raise Error(f"unknown recipe key training.{key}: {FORMER[key]}.")
        if key not in known:
            raise Error(f"unknown recipe key {section}.{key}.{_instead(section, key, known)}")


def _instead(section: str, wrong: str, known: list[str]) -> str:
    """Say which keys there are: the nearest one, else all, or where they are listed."""
    owners = [part for part, keys in part_keys().get(section, {}).items() if part and wrong in keys]
    if owners:
        return f" It is an option of {section} {', '.join(owners)}."
    if hint := nearest(wrong, [*known, *ALIASES.get(section, {})]):
        return hint
    if places := places_of(wrong):
        return f" Did you mean {' or '.join(places)}?"
    if section == "training":
        return " Known: the keys that 'unmask recipes NAME' shows, and the fields of transformers.TrainingArguments."
    return f" Known: {', '.join(sorted(known))}." if known else f" This {section} takes no options; leave it out."


def check_options(section: str, given: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Refuse unknown names, and values of the wrong kind (a number in quotes is one, save for the Trainer's)."""
    check_names(section, given, kinds)
    for key, value in given.items():
        try:
            TypeAdapter(kinds[key]).validate_python(value, strict=section != "training")
        except ValidationError as error:
            raise Error(explain(error, section, key)) from error


def explain(error: ValidationError, *outer: str, top: Iterable[str] = ()) -> str:
    """Say in one line what a recipe has wrong.

    Args:
        error: What pydantic found.
        outer: Where its locations start from.
        top: The keys of a whole recipe, if it is one that was validated.
    """
    first = error.errors()[0]
    place = ".".join([*outer, *(str(part) for part in first["loc"])])
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][0])
        section = SECTIONS.get(name) if len(first["loc"]) > 1 else None
        known = [*(section.model_fields if section else top), *ALIASES.get(name, {})]
        return f"unknown recipe key {place}.{_instead('', str(first['loc'][-1]), known)}"
    if first["type"] == "model_type":
        return f"recipe key {place} is {first['input']!r}; it must be a section of keys and values."
    hint = " In YAML, no and off stand for false; put the word in quotes." if first["input"] is False else ""
    return f"recipe key {place} is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}.{hint}"
