"""Which keys each part of a recipe takes, and what to say to one who gives another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from unmask.errors import Error, nearest
from unmask.training.sections import ALIASES, SECTIONS


def backbone_kinds(name: str) -> dict[str, Any]:
    """Return the options that a network's configuration takes, with their types."""
    from unmask.models.registry import BACKBONES

    return {key: kind for key, kind in BACKBONES.get(name).options.items() if key not in ("vocab_size", "thought")}


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


def trainer_kinds() -> dict[str, Any]:
    """Return the fields of the Trainer's arguments that a recipe may set, with their types."""
    from transformers import TrainingArguments

    hints = get_type_hints(TrainingArguments)
    return {f.name: hints[f.name] for f in fields(TrainingArguments) if f.init and f.name not in _ELSEWHERE}


def check_names(section: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise Error for a key that a section does not know, with the nearest one that it does."""
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
    return f"recipe key {place} is {first['input']!r}: {first['msg']}."
