"""Patches by chance: the control that has another patcher's lengths and knows nothing of the text.

    P(start at t | last start at s) = hazard[t - s],   hazard[a] = starts at age a / places where one could be at age a

both counted on text that the other patcher cut (the discrete hazard of survival analysis: drawn one after the other,
ages have the counted distribution). Ages beyond the last hazard share it. What decides at t is a hash of (seed, t):
the same cuts for every text without multi-byte characters, and known before the text is. Code points stay whole.

Letters: n bytes of a text, A ages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Float64
from pydantic import Field

from unmask.data import utf8
from unmask.data.patches.patcher import PATCHERS, PATIENCE, Patcher, PatcherOptions, PatchStream, bound, next_true
from unmask.errors import Error

AGES = 64
"""Ages that have a hazard of their own, at most."""

_BLOCK = 1024
_MASK = (1 << 64) - 1


class RandomOptions(PatcherOptions):
    """Options of ``random``."""

    hazards: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field((0.25,), min_length=1)
    """Probability that a patch of 1, 2, ... bytes ends, where it may; the last one also for all longer ones."""
    seed: int = Field(0, ge=0, le=_MASK)
    """Which random cuts."""


@PATCHERS.add("random")
class Random:
    """Patches of given lengths, anywhere."""

    name: ClassVar[str] = "random"
    needs_entropy: ClassVar[bool] = False
    ignores_content = False  # it does not split the characters that it meets
    Options = RandomOptions

    def __init__(self, options: RandomOptions) -> None:
        self.options = options

    @property
    def longest(self) -> int | None:
        """Bytes that no patch exceeds; ``None``: no bound."""
        return bound(self._last)

    @property
    def _last(self) -> int | None:
        """The age at which every patch ends, if there is one."""
        hazards = self.options.hazards
        return len(hazards) if hazards[-1] == 1 else None

    def starts(self, data: bytes) -> Bool[np.ndarray, " n"]:
        """Return whether each byte begins a patch."""
        n, hazards = len(data), self.options.hazards
        draws, allowed = uniform(self.options.seed, 0, n), utf8.free(data)
        following = np.full(n, n)  # where the next patch begins if one begins here
        if n > len(hazards):
            following[: n - len(hazards)] = next_true(allowed & (draws < hazards[-1]))[len(hazards) :]
        for age in range(len(hazards) - 1, 0, -1):
            here = (allowed & (draws < hazards[age - 1]))[age:]
            following[: max(n - age, 0)][here] = np.arange(age, n)[here]
        if self._last is not None:
            following = np.minimum(following, np.arange(n) + self._last + PATIENCE)
        steps, out, place = following.tolist(), np.zeros(n, bool), 0
        begun: list[int] = []
        while place < n:
            begun.append(place)
            place = steps[place]
        out[begun] = True
        return out

    def stream(self) -> PatchStream:
        """Return a stream at the beginning of a text."""
        return PatchStream(_Draws(self.options), self._last)


class _Draws:
    """The same rule, byte by byte."""

    def __init__(self, options: RandomOptions) -> None:
        self._options = options
        self._place = 0
        self._block = uniform(options.seed, 0, _BLOCK)

    def wanted(self, age: int) -> bool:
        hazards = self._options.hazards
        return bool(self._block[self._place % _BLOCK] < hazards[min(age, len(hazards)) - 1])

    def push(self, byte: int) -> None:
        self._place += 1
        if self._place % _BLOCK == 0:
            self._block = uniform(self._options.seed, self._place, _BLOCK)


def like(patcher: Patcher, texts: Iterable[bytes], seed: int = 0) -> Random:
    """Return random patches with the lengths that ``patcher`` gives to some texts.

    Raises:
        Error: there is no patch to count.
    """
    ended, open_to = np.zeros(AGES + 1), np.zeros(AGES + 1)
    for text in texts:
        starts = patcher.starts(text)
        places = np.arange(len(text))
        began = np.maximum.accumulate(np.where(starts, places, 0)) if len(text) else places
        ages = np.minimum(places[1:] - began[:-1], AGES)  # of the patch that is open before each byte
        allowed = utf8.free(text)[1:]
        open_to += np.bincount(ages[allowed], minlength=AGES + 1)
        ended += np.bincount(ages[starts[1:] & allowed], minlength=AGES + 1)
    met = np.flatnonzero(open_to)
    if not len(met):
        raise Error("there are no patches to take the lengths of. Give longer texts.")
    hazards = np.divide(ended, open_to, out=np.zeros_like(ended), where=open_to > 0)[1 : met[-1] + 1]
    return Random(RandomOptions(hazards=tuple(hazards.tolist()), seed=seed))


def uniform(seed: int, start: int, count: int) -> Float64[np.ndarray, " n"]:
    """Return ``count`` numbers in [0, 1) that belong to (seed, start), (seed, start + 1), ...

    Splitmix64 (Steele, Lea & Flood 2014): a Weyl sequence, whose place is the counter, through a 64-bit mixer.
    """
    with np.errstate(over="ignore"):
        z = np.uint64(_mixed(seed)) + np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(_WEYL)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


_WEYL = 0x9E3779B97F4A7C15


def _mixed(seed: int) -> int:
    """Return a start of the sequence that is far from that of the next seed."""
    z = (seed + 1) * _WEYL & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    return z ^ z >> 31
