"""The contract of a patcher: where a text of bytes is cut, decided before each byte is read.

    starts_t = [t = 0] or [nothing owed before t] and ([wanted_t] or [t - s >= max_length])

s is where the patch before began; ``wanted`` is the patcher's own rule, a function of the bytes before t (and of s
where it says so); no code point of UTF-8 is split (:mod:`unmask.data.utf8`). As nothing here depends on byte t
or on what follows, the cut is known to whoever predicts byte t, in training as in sampling. A patch holds at most
``max_length`` bytes and what completes its last code point: three more, after which it ends also where bytes that are
not UTF-8 leave the debt unpaid. The concatenation of patches is the text.

The rule for a whole text is vectorised (``starts``); a stream asks it byte by byte, and has the answer for the byte to
come before that byte exists. Both give the same cuts.

Letters: n bytes of a text, P patches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from jaxtyping import Bool, Int64
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unmask.data import utf8
from unmask.data.entropy import ByteEntropy
from unmask.errors import Error, nearest
from unmask.registry import Registry

PATIENCE = utf8.LONGEST - 1
"""Bytes that a patch of full length waits for its last code point."""


class PatcherOptions(BaseModel):
    """Options that a recipe gives to a patcher. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Bounded(PatcherOptions):
    """Options of a patcher whose patches have no longest length of their own."""

    max_length: int | None = Field(None, ge=1)
    """Bytes after which a patch ends at the next code point; ``None``: no bound."""


class Wanter(Protocol):
    """A patcher's own rule, for a text that comes byte by byte."""

    def wanted(self, age: int) -> bool:
        """Return whether the byte to come should begin a patch, ``age`` bytes after the last one began."""
        ...

    def push(self, byte: int) -> None:
        """Read one byte."""
        ...


class Patcher(Protocol):
    """What every registered patcher does (see the contract tests, which run over the registry).

    Attributes:
        name: Its name in recipes.
        needs_entropy: Whether its constructor takes a :class:`~unmask.data.entropy.ByteEntropy` besides its options.
        options: Its settings.
    """

    name: ClassVar[str]
    needs_entropy: ClassVar[bool]

    @property
    def options(self) -> PatcherOptions:
        """Its settings."""
        ...

    @property
    def longest(self) -> int | None:
        """Bytes that no patch exceeds; ``None``: a patch may be as long as its text."""
        ...

    @property
    def ignores_content(self) -> bool:
        """Whether the cuts are the same for every text of a length."""
        ...

    def starts(self, data: bytes) -> Bool[np.ndarray, " n"]:
        """Return whether each byte begins a patch; the first one does."""
        ...

    def stream(self) -> PatchStream:
        """Return a stream at the beginning of a text."""
        ...


PATCHERS: Registry[Any] = Registry("patcher")
"""Name -> class with an ``Options`` model and a constructor ``(options)``, or ``(options, entropy)`` if it needs it."""


class PatchStream:
    """The cuts of a text that comes in pieces; how it is cut into pieces does not matter.

    Args:
        rule: The patcher's rule at the beginning of a text.
        max_length: Age at which a patch ends whatever the rule says; ``None``: never.
        whole: Whether code points are kept whole.
    """

    def __init__(self, rule: Wanter, max_length: int | None, *, whole: bool = True) -> None:
        self._rule, self._max, self._whole = rule, max_length, whole
        self._age, self._owed, self._begun = 0, 0, False

    @property
    def starts_next(self) -> bool:
        """Whether the byte to come, whatever it is, begins a patch."""
        if not self._begun:
            return True
        over = -1 if self._max is None else self._age - self._max
        if self._whole and self._owed:
            return over >= PATIENCE
        return over >= 0 or self._rule.wanted(self._age)

    def push(self, data: bytes) -> Bool[np.ndarray, " n"]:
        """Read bytes and return whether each of them begins a patch."""
        out = np.zeros(len(data), bool)
        for place, byte in enumerate(data):
            out[place] = self.starts_next
            self._age = 1 if out[place] else self._age + 1
            self._owed = utf8.owed_after(self._owed, byte)
            self._begun = True
            self._rule.push(byte)
        return out


def bounded(
    wanted: Bool[np.ndarray, " n"], allowed: Bool[np.ndarray, " n"], max_length: int | None
) -> Bool[np.ndarray, " n"]:
    """Return the starts where a rule that ignores the patch's age wants them, and where patches grow too long.

    Args:
        wanted: Where the rule wants a start.
        allowed: Where one may be; the first byte is one in any case.
        max_length: Age at which a patch ends at the next allowed place, ``PATIENCE`` bytes later at most; ``None``:
            never.
    """
    n = len(wanted)
    out: Bool[np.ndarray, " n"] = wanted & allowed
    out[:1] = True
    if max_length is None or not n:
        return out
    edges = np.append(np.flatnonzero(out), n)
    long = np.flatnonzero(np.diff(edges) > max_length)
    if len(long):
        later = np.minimum(next_true(allowed), np.arange(n) + PATIENCE).tolist()
        forced: list[int] = []
        for start, end in zip(edges[long].tolist(), edges[long + 1].tolist(), strict=True):
            while start + max_length < end and (start := later[start + max_length]) < end:
                forced.append(start)
        out[forced] = True
    return out


def next_true(flags: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return, for each place, the first place from there on whose flag is set; n where there is none."""
    n = len(flags)
    found: Int64[np.ndarray, " n"] = np.minimum.accumulate(np.where(flags, np.arange(n), n)[::-1])[::-1]
    return found


def bound(max_length: int | None, *, whole: bool = True) -> int | None:
    """Return the longest patch that ``max_length`` leaves: code points that are kept whole may exceed it."""
    return None if max_length is None else max_length + (PATIENCE if whole else 0)


def sizes(starts: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " P"]:
    """Return the bytes of each patch."""
    found: Int64[np.ndarray, " P"] = np.diff(np.append(np.flatnonzero(starts), len(starts)))
    return found


def split(data: bytes, starts: Bool[np.ndarray, " n"]) -> list[bytes]:
    """Return the patches; together they are ``data``."""
    edges = [*np.flatnonzero(starts).tolist(), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def mean_size(patcher: Patcher, texts: Iterable[bytes]) -> float:
    """Return bytes a patch over some texts.

    Raises:
        Error: there is no byte in them.
    """
    total = patches = 0
    for text in texts:
        total += len(text)
        patches += int(patcher.starts(text).sum())
    if not total:
        raise Error("there are no bytes to measure patches on. Give texts.")
    return total / patches


def make_patcher(name: str, options: Mapping[str, Any] | None = None, entropy: ByteEntropy | None = None) -> Any:
    """Return the patcher that a recipe names.

    Args:
        name: See :data:`PATCHERS`.
        options: Its settings; what is left out has its default.
        entropy: For a patcher that needs it.

    Raises:
        Error: unknown patcher or option, an impossible value, or an entropy model that is missing or for nothing.
    """
    part = PATCHERS.get(name)
    if part.needs_entropy != (entropy is not None):
        asked = "needs a fitted entropy model" if part.needs_entropy else "takes no entropy model"
        raise Error(f"the patcher {name!r} {asked}.")
    try:
        chosen = part.Options.model_validate(dict(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = part.Options.model_fields
        hint = "" if key in known else nearest(key, known)
        raise Error(f"patcher {name!r}, {key or 'options'}: {first['msg']}.{hint}") from error
    return part(chosen, entropy) if part.needs_entropy else part(chosen)
