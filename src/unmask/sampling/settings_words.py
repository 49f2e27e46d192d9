"""What a setting takes, and what is wrong with one, in one line: made from the models of ``settings``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from unmask.errors import nearest
from unmask.sampling.registry import SAMPLERS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from unmask.sampling.settings import Settings
    from unmask.sampling.verifier_settings import RepairSettings

_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def taken(field: FieldInfo) -> str:
    """Return the values that a setting takes: ``a number, above 0 and at most 1``."""
    kind, empty = _kind(field)
    choices = " or ".join(map(repr, get_args(kind))) if get_origin(kind) is Literal else _KINDS[kind]
    within = _range(field)
    return choices + (f", {within}" if within else "") + (", or null" if empty else "")


def wrong_value(settings: type[Settings | RepairSettings], key: str, wrong: Mapping[str, Any]) -> str:
    """Say what is wrong with the value of a setting.

    Args:
        settings: The sampler's.
        key: The setting.
        wrong: What pydantic found.
    """
    field, value = settings.model_fields[key], wrong["input"]
    kind, empty = _kind(field)
    if get_origin(kind) is Literal:
        *most, last = map(repr, get_args(kind))
        hint = " In YAML, no and off stand for false; put the word in quotes." if value is False else ""
        return f"{key} is {value!r}; choose {', '.join(most)} or {last}{', or leave it out' if empty else ''}.{hint}"
    if wrong["type"] == "finite_number":
        return f"{key} is {value!r}; it must be a finite number."
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return f"{key} is {value!r}; it must fit into 64 bits."
    right = wrong["type"].startswith(("greater_than", "less_than"))
    return f"{key} is {value!r}; it must be {_range(field) if right else taken(field)}."


def unknown_setting(settings: type[Settings], key: str) -> str:
    """Say that a sampler has no such setting: which one was meant, or which samplers have it."""
    known = list(settings.model_fields)
    owners = [name for name in SAMPLERS if key in SAMPLERS.facts(name).model_fields]
    who = f"the {settings.name!r} sampler does" if settings.name else "all samplers together do"
    if owners:
        told = f"{who} not use {key}; leave it out. It uses: {', '.join(known)}."
        return f"{told} {key} is a setting of {', '.join(owners)}."
    if key in _repair().model_fields:
        return f"{key} is a setting of a repair, and there is none; give --verifier RUN --verify repair."
    hint = nearest(key, known) or nearest(key, all_settings())
    return f"unknown setting {key!r}.{hint} The {settings.name!r} sampler uses: {', '.join(known)}."


def not_under(settings: Settings, choice: str, key: str, rules: Sequence[str] = ()) -> str:
    """Say that a sampler has no such setting in the way that it works, and who has it.

    Args:
        settings: The sampler's.
        choice: The setting that says how it works.
        key: The one that means nothing then.
        rules: Other ways of the same sampler that have it.
    """
    owners = [name for name in SAMPLERS if name != settings.name and key in SAMPLERS.facts(name).model_fields]
    return (
        f"the {settings.name!r} sampler with {choice} {getattr(settings, choice)!r} does not use {key}; leave it out. "
        f"It uses: {', '.join(settings.known)}. {key} is a setting of {', '.join([*rules, *owners])}."
    )


def all_settings() -> dict[str, Any]:
    """Return the settings of all samplers and of a repair, with the type of each; ``None``, not given, among them."""
    kinds: dict[str, Any] = {}
    for settings in (*map(SAMPLERS.facts, SAMPLERS), _repair()):
        for key, field in settings.model_fields.items():
            kinds[key] = kinds.get(key, None) | field.annotation
    return kinds


def _repair() -> type[RepairSettings]:
    from unmask.sampling.verifier_settings import RepairSettings  # which is checked by this module

    return RepairSettings


def _kind(field: FieldInfo) -> tuple[Any, bool]:
    """Return the type of a setting, and whether it may be left empty."""
    arms = get_args(field.annotation)
    if NoneType not in arms:
        return field.annotation, False
    return next(arm for arm in arms if arm is not NoneType), True


def _range(field: FieldInfo) -> str:
    """Return the range of a number; what every number has to be is not said."""
    limits = {
        key: value
        for part in field.metadata
        for key in ("gt", "ge", "lt", "le")
        if (value := getattr(part, key, None)) is not None and abs(value) < 2**63
    }
    match limits:
        case {"ge": low, "le": high}:
            return f"between {low} and {high}"
        case {"gt": low, "le": high}:
            return f"above {low} and at most {high}"
        case {"ge": low, "lt": high}:
            return f"at least {low} and below {high}"
        case {"gt": low, "lt": high}:
            return f"above {low} and below {high}"
        case {"gt": low}:
            return f"above {low}"
        case {"ge": 0}:
            return "0 or more"
        case {"ge": low}:
            return f"at least {low}"
    return ""
