"""What may be searched of a run's samplers: read from the models of their settings, so that a new one is found.

A choice is searched over its choices, a number over the range of its field; where a field sets no upper end, from a
quarter of its default to four times that. Narrower ranges stand in ``WORTH``: what lies outside them is allowed and
not worth a trial. Which settings belong together the models say themselves: after each answer the sampler's ``known``
settings are read anew, and a value that cannot stand beside those before it stays at its default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, Protocol, get_args, get_origin

from pydantic.fields import FieldInfo

from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.sampling.registry import SAMPLERS, drives
from unmask.sampling.settings import BITS, Settings

LEFT = ("seed", "ignore_eos", "overlap", "beyond", "top_k")
"""Not searched: what is asked for and not how it is written; of two ways to cut a tail one, ``top_p``."""
WORTH: dict[str, tuple[float, float]] = {
    "temperature": (0.5, 1.2),
    "temperature_end": (0.3, 1.2),
    "top_p": (0.8, 1.0),
    "repetition_penalty": (1.0, 1.3),
    "confidence_noise": (0.0, 2.0),
    "confidence_stop": (0.8, 1.0),
    "entropy_budget": (0.02, 5.0),
    "sure_above": (0.5, 1.0),
    "remask_strength": (0.0, 0.3),
    "remask_hold": (0.5, 0.95),
}
_OPEN = 4
"""A field without an upper end is searched from its default divided to its default multiplied by it."""
_LOG = 8
"""From such a ratio of its ends on a range without an upper end is searched by its logarithm."""


class Ask(Protocol):
    """Who answers: a trial of Optuna."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        """Return a whole number."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Return a number."""
        ...


@dataclass(frozen=True)
class Room:
    """How much there is to decide: no more steps than that are searched.

    Attributes:
        tokens: Words that a text is asked for.
        block: Words of the largest block that the run was trained with; 0: it has none.
        candidates: Candidates of an open position that it was trained with; 0: it takes none.
    """

    tokens: int
    block: int = 0
    candidates: int = 0


def kinds_of(process: str) -> list[type[Settings]]:
    """Return the settings of all samplers that drive the runs of a process."""
    facts = PROCESSES.facts(process)
    return [SAMPLERS.facts(name) for name in SAMPLERS if drives(SAMPLERS.facts(name), facts)]


def suggest(ask: Ask, kinds: Sequence[type[Settings]], room: Room, kept: Mapping[str, Any]) -> Settings:
    """Return settings of one of the samplers, as ``ask`` answers.

    Args:
        ask: A trial.
        kinds: The samplers' settings.
        room: How much there is to decide.
        kept: Settings that stay as they are where they mean something, such as ``ignore_eos``.
    """
    name = ask.suggest_categorical("sampler", [kind.name for kind in kinds])
    kind = next(kind for kind in kinds if kind.name == name)
    own = {key: value for key, value in kept.items() if key in kind.model_fields}
    settings, asked = kind(**own), {*LEFT, *own, *(() if room.candidates else ("candidates",))}
    while (key := _next(settings, asked)) is not None:
        asked.add(key)
        field = kind.model_fields[key]
        value = _answer(ask, f"{name}.{key}", key, field, room, kind.visibility == "block")
        try:
            settings = settings if value == field.default else kind(**settings.given, **{key: value})
        except Error:  # it cannot stand beside what was chosen before
            continue
    return settings


def _next(settings: Settings, asked: set[str]) -> str | None:
    """Return the next setting to be asked for: choices first, for they say which others mean something."""
    fields = type(settings).model_fields
    left = [key for key in settings.known if key not in asked and _kind(fields[key])[0] is not None]
    return min(left, key=lambda key: get_origin(_kind(fields[key])[0]) is not Literal, default=None)


def _kind(field: FieldInfo) -> tuple[Any, bool]:
    """Return the type of what is searched, ``None`` where it is neither a choice nor a number; whether it may be null.

    A path or a name cannot be searched.
    """
    arms = get_args(field.annotation)
    empty = NoneType in arms
    kind = next((arm for arm in arms if arm is not NoneType), None) if empty else field.annotation
    return (kind if kind in (bool, int, float) or get_origin(kind) is Literal else None), empty


def _answer(ask: Ask, name: str, key: str, field: FieldInfo, room: Room, in_blocks: bool) -> Any:
    kind, empty = _kind(field)
    if key == "block_size":
        return ask.suggest_categorical(name, [None, *_halves(room.block)])
    if key == "candidates":
        return ask.suggest_categorical(name, [None, *_halves(room.candidates), 0])
    if empty and not ask.suggest_categorical(f"{name}?", [False, True]):
        return None
    if kind is bool or get_origin(kind) is Literal:
        return ask.suggest_categorical(name, [False, True] if kind is bool else list(get_args(kind)))
    low, high, log = _ends(key, field, room.block if in_blocks and room.block else room.tokens)
    if kind is int:
        return ask.suggest_int(name, round(low), round(high), log=log)
    return float(f"{ask.suggest_float(name, low, high, log=log):.3g}")


def _halves(most: int) -> list[int]:
    return [] if most < 2 else [most // 2, *_halves(most // 2)]


def _ends(key: str, field: FieldInfo, most: int) -> tuple[float, float, bool]:
    """Return between what a number is searched, and whether by its logarithm."""
    if key == "steps":
        return 1, max(1, most), most >= _LOG
    if key in WORTH:
        low, high = WORTH[key]
        return low, high, low > 0 and high / low >= _LOG
    ends: dict[str, float] = {}
    for part in field.metadata:
        for sign in ("ge", "gt", "le", "lt"):
            if (value := getattr(part, sign, None)) is not None and abs(value) < BITS:
                ends[sign] = value
    least, upper = ends.get("ge", ends.get("gt")), ends.get("le", ends.get("lt"))
    if upper is None:
        default = float(field.default or 0)
        low, high = (default / _OPEN, default * _OPEN) if default > 0 else (least or 0.0, (least or 0.0) + _OPEN)
        low = low if least is None else max(low, least)
        return low, high, low > 0 and high / low >= _LOG
    low = upper - _OPEN if least is None else least
    inside = 1 if _kind(field)[0] is int else 1e-3 * (upper - low)  # an end that is not taken itself
    return (
        low + inside * ("gt" in ends and "ge" not in ends),
        upper - inside * ("lt" in ends and "le" not in ends),
        False,
    )


class Plain:
    """Answers with the defaults, but for what it is told, and notes what a trial would have been told.

    Attributes:
        params: Name of an answer -> the answer.
    """

    def __init__(self, kind: type[Settings], **told: Any) -> None:
        self._kind, self._told = kind, told
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the default where it is one of the choices."""
        optional = name.endswith("?")
        wanted = self._wanted(name.rstrip("?"))
        wanted = wanted is not None if optional else wanted
        return self._noted(name, wanted if wanted in choices else choices[0])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        """Return the default, within the range."""
        return int(self._noted(name, min(max(self._wanted(name) or low, low), high)))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Return the default, within the range."""
        return float(self._noted(name, min(max(self._wanted(name) or low, low), high)))

    def _wanted(self, name: str) -> Any:
        key = name.partition(".")[2]
        return self._kind.name if not key else self._told.get(key, self._kind.model_fields[key].default)

    def _noted(self, name: str, value: Any) -> Any:
        self.params[name] = value
        return value


def plain_ways(kinds: Sequence[type[Settings]], room: Room, kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the answers that make each sampler at its defaults, with few steps and with many: the first trials."""
    found = []
    for kind in kinds:
        most = room.block if kind.visibility == "block" and room.block else room.tokens
        counts = {max(1, most // 8), max(1, most // 2)} if "steps" in kind.model_fields else {0}
        for steps in sorted(counts):
            plain = Plain(kind, **({"steps": steps} if steps else {}))
            suggest(plain, kinds, room, kept)
            found.append(plain.params)
    return found
