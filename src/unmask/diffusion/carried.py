"""What goes with the texts of a state besides their words: a thought, candidates, retrieved vectors, notes, a cache.

Rows leave a batch and join another, are taken twice, go to another device; what is carried goes with them. A kind of it
is a dataclass whose tensors have the row first. Its own file says what is special about it: that it has something at
each position, or what a row has that has none yet. States loop over what they carry and know no kind by name.

A network's *notes* are kinds that nobody else has to know: what it leaves in ``Prediction.notes`` it finds in
``State.notes`` when it is next asked about the same text.

Letters: B rows, b chosen rows, T positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class Texts:
    """The rows that something is carried with.

    Attributes:
        key: Noise key of each.
        length: Their positions (T).
    """

    key: Int[Tensor, " B"]
    length: int


@runtime_checkable
class Carried(Protocol):
    """Something of each row.

    Attributes:
        placed: Whether it is of positions: its tensors are [B, T, ...], else [B, ...].
    """

    placed: ClassVar[bool] = False

    def to(self, device: torch.device | str) -> Self:
        """Return it on another device."""
        return moved(self, device)

    def rows(self, index: Int[Tensor, " b"] | Bool[Tensor, " B"]) -> Self:
        """Return that of some rows, copied."""
        return picked(self, index)

    def upto(self, length: int) -> Self:
        """Return that of the first positions."""

        def cut(part: Any) -> Any:
            if isinstance(part, Carried):
                return part.upto(length)
            return part[:, :length] if self.placed else part

        return changed(self, cut)

    def blank(self, texts: Texts) -> Self:
        """Return what rows have that have none yet, of the same sizes: zeros."""
        size = (len(texts.key), texts.length) if self.placed else (len(texts.key),)

        def zeros(part: Any) -> Any:
            return part.blank(texts) if isinstance(part, Carried) else part.new_zeros(*size, *part.shape[len(size) :])

        return changed(self, zeros)

    @classmethod
    def join(cls, parts: Sequence[Self | None], texts: Sequence[Texts]) -> Self:
        """Join rows, padded with zeros to the largest; ``None``: there is nothing of these texts yet.

        Raises:
            Error: parts that cannot share a batch.
        """
        whole = filled(parts, texts)
        names = _fields(whole[0])
        return cls(**{name: joined([getattr(part, name) for part in whole], texts) for name in names})


C = TypeVar("C", bound=Carried)
W = TypeVar("W")


@dataclass(frozen=True)
class Notes(Carried):
    """What a network left for its next answer to the same text: one thing of each kind that it knows.

    Attributes:
        things: What is carried.
    """

    things: tuple[Carried, ...] = ()

    def get(self, kind: type[C]) -> C | None:
        """Return the thing of a kind; ``None``: there was no answer yet."""
        return next((thing for thing in self.things if isinstance(thing, kind)), None)

    @classmethod
    def join(cls, parts: Sequence[Notes | None], texts: Sequence[Texts]) -> Notes:
        """Join notes kind by kind."""
        each = [part or Notes() for part in parts]
        kinds = dict.fromkeys(type(thing) for part in each for thing in part.things)
        return Notes(tuple(kind.join([part.get(kind) for part in each], texts) for kind in kinds))


def renewed(old: C | None, new: C, index: Int[Tensor, " b"], texts: Texts) -> C:
    """Return what is carried with all texts after the rows of ``index`` have got something new."""
    whole = type(new).join([old, new], [texts, Texts(texts.key[index], texts.length)])
    each = torch.arange(len(texts.key) + len(index), device=index.device)
    return whole.rows(each[: len(texts.key)].index_copy(0, index, each[len(texts.key) :]))


def moved(whole: W, device: torch.device | str) -> W:
    """Return a dataclass whose tensors and carried parts are on another device."""
    return changed(whole, lambda part: part.to(device))


def picked(whole: W, index: Tensor) -> W:
    """Return a dataclass with some rows of its tensors and carried parts."""
    return changed(whole, lambda part: part[index] if isinstance(part, Tensor) else part.rows(index))


def joined(parts: Sequence[Any], texts: Sequence[Texts], value: float = 0) -> Any:
    """Return one field of several dataclasses row-wise: tensors padded with ``value``, and carried parts.

    A tensor that some lack is 0 there; what is neither is the first one's.
    """
    like = next((part for part in parts if part is not None), None)
    if isinstance(like, Carried):
        return type(like).join(parts, texts)
    if isinstance(like, list):
        return [joined(each, texts) for each in zip(*parts, strict=True)]
    if not isinstance(like, Tensor):
        return like
    own = [like.new_zeros(len(t.key), *like.shape[1:]) if p is None else p for p, t in zip(parts, texts, strict=True)]
    size = [max(part.shape[n] for part in own) for n in range(1, like.ndim)]
    grow = [[x for n, most in enumerate(size, 1) for x in (most - part.shape[n], 0)][::-1] for part in own]
    return torch.cat([pad(part, room, value=value) for part, room in zip(own, grow, strict=True)])


def filled(parts: Sequence[C | None], texts: Sequence[Texts]) -> list[C]:
    """Return the parts, those that are not there as what their rows begin with."""
    like = next(part for part in parts if part is not None)
    return [like.blank(own) if part is None else part for part, own in zip(parts, texts, strict=True)]


def changed(whole: W, change: Callable[[Any], Any]) -> W:
    """Return a dataclass whose tensors and carried parts, in lists too, are changed."""

    def over(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return type(part)(map(over, part))
        return change(part) if isinstance(part, Tensor) or is_carried(part) else part

    given: Any = whole
    made: W = replace(given, **{name: over(part) for name, part in _fields(whole).items()})
    return made


def is_carried(part: Any) -> bool:
    """Tell whether something is of a kind: ``isinstance`` would read all methods of each row's settings."""
    return Carried in type(part).__mro__


def _fields(whole: Any) -> dict[str, Any]:
    return {f.name: getattr(whole, f.name) for f in fields(whole)}
