"""A family of open weights: how its ``config.json`` reads, and under which names it keeps what our transformer has.

A name of ours stands for one of theirs, for several that lie one below the other (queries, keys and values are one
matrix here), or for one that is stored turned. Nothing of the folder is run: names and numbers are read.

Letters: L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unmask.errors import Error

if TYPE_CHECKING:
    from torch import Tensor

    from unmask.models.config import TransformerConfig

Told = Mapping[str, Any]
"""A ``config.json``."""


@dataclass(frozen=True)
class Turned:
    """A matrix that is stored with rows and columns exchanged."""

    name: str


Place = str | tuple[str, ...] | Turned


@dataclass(frozen=True)
class Keys:
    """Where a family keeps our weights.

    Attributes:
        outer: Our name -> theirs, of what there is once.
        inner: Our name within a block -> theirs within a layer.
        layer: The beginning of a layer's names, with ``{}`` for its number.
        extra: Ends of their names that hold nothing (buffers), and are left out.
    """

    outer: Mapping[str, Place]
    inner: Mapping[str, Place]
    layer: str
    extra: tuple[str, ...] = ("rotary_emb.inv_freq",)

    def places(self, layers: int) -> Iterator[tuple[str, Place]]:
        """Yield our names and theirs, for a network of so many layers."""
        yield from self.outer.items()
        for number in range(layers):
            before = self.layer.format(number)
            for name, place in self.inner.items():
                yield f"blocks.{number}.{name}", _within(before, place)


def _within(before: str, place: Place) -> Place:
    if isinstance(place, Turned):
        return Turned(before + place.name)
    return before + place if isinstance(place, str) else tuple(before + name for name in place)


@dataclass(frozen=True)
class Native:
    """The classes of ``transformers`` that a family has there.

    Attributes:
        model: Name of the network's class.
        config: Name of its configuration's class.
        keys: The keys of that configuration, from ours.
        causal: Whether it answers left to right; else the answer at a place is that place's own.
    """

    model: str
    config: str
    keys: Callable[[TransformerConfig], dict[str, Any]]
    causal: bool = True


@dataclass(frozen=True)
class Family:
    """A family of open weights.

    Attributes:
        name: Its name.
        about: What belongs to it.
        types: Its values of ``model_type``.
        process: The process that its models learned: ``causal``, ``masked`` or ``block``.
        options: The transformer's options, from ``config.json``.
        keys: Where the weights are.
        process_options: The process's options, from ``config.json``.
        mask: The id of the mask, from ``config.json``; ``None``: what the tokenizer calls so.
        masks: Names that its tokenizers give the mask.
        marks: A stored name that only this family has, where ``model_type`` is another's.
        before: A beginning of stored names that some files leave out.
        made: Stored tensors that are worked out of others: what reads, from what reads the file and ``config.json``.
        native: Its classes of ``transformers``; ``None``: it has none there.
    """

    name: str
    about: str
    types: tuple[str, ...]
    process: str
    options: Callable[[Told], dict[str, Any]]
    keys: Keys
    process_options: Callable[[Told], dict[str, Any]] = lambda told: {}
    mask: Callable[[Told], int | None] = lambda told: told.get("mask_token_id")
    masks: tuple[str, ...] = ()
    marks: str = ""
    before: str = ""
    made: Callable[[Callable[[str], Tensor], Told], Callable[[str], Tensor]] = field(default=lambda read, told: read)
    native: Native | None = None


def wanted(told: Told, key: str, *others: str) -> Any:
    """Return a value of ``config.json``, under the first of some names.

    Raises:
        Error: it is not there.
    """
    for name in (key, *others):
        if told.get(name) is not None:
            return told[name]
    raise Error(f"config.json has no {key}, without which the network's shape is not known.")


def only(family: str, told: Told, known: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse what a family's networks here have not.

    Args:
        family: Its name.
        told: ``config.json``.
        known: Key -> the values that it may have where it is there; the first is shown.

    Raises:
        Error: another one.
    """
    for key, values in known.items():
        if key in told and told[key] not in (*values, None):
            raise Error(f"config.json says {key} {told[key]!r}, and what is known of {family} has {values[0]!r}.")


def angles(family: str, told: Told) -> dict[str, Any]:
    """Return the options of rotary positions that a ``config.json`` tells, in its old or its new form.

    Raises:
        Error: angles that are stretched in a way that is not known here.
    """
    rope = {**(told.get("rope_scaling") or {}), **(told.get("rope_parameters") or {})}
    kind = rope.get("rope_type", rope.get("type", "default"))
    found: dict[str, Any] = {"rope_theta": float(rope.get("rope_theta") or told.get("rope_theta") or 10000.0)}
    if (share := rope.get("partial_rotary_factor", told.get("partial_rotary_factor", 1.0))) != 1.0:
        raise Error(
            f"config.json turns a part of each head only (partial_rotary_factor {share}), which none here does."
        )
    if kind == "linear":
        found["rope_rule"] = {"type": "linear", "factor": float(rope["factor"])}
    elif kind == "llama3":
        rule = {key: float(rope[key]) for key in ("factor", "low_freq_factor", "high_freq_factor")}
        found["rope_rule"] = {"type": "llama3", **rule, "original": rope["original_max_position_embeddings"]}
    elif kind != "default":
        raise Error(f"config.json stretches rotary angles by {kind!r}; {family} here knows default, linear and llama3.")
    return found


def told_angles(config: TransformerConfig) -> dict[str, Any]:
    """Return ``rope_parameters`` of ``transformers`` for our options."""
    rule = dict(config.rope_rule or {"type": "default"})
    told = {"rope_type": rule.pop("type"), "rope_theta": config.rope_theta}
    if "original" in rule:
        rule["original_max_position_embeddings"] = rule.pop("original")
    return {**told, **rule}
