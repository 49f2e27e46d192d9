"""Patches that end after a mark: whitespace, or whitespace and punctuation.

``whitespace`` (after SpaceByte, Slagle 2024, arXiv 2404.14408): a patch ends after the first whitespace byte of a run;
the rest of the run leads the next word. ``delimiter`` is the mode of Bytropix ("Babylon Index"): there every maximal
run of other characters is a patch, and each single whitespace or punctuation character one of its own.

Whether byte t is a mark is not known before byte t is read, so that a patch that begins *at* a mark tells the decoder
of that byte what it has to predict. Here a patch begins *after* a mark: Bytropix's cut before a mark that follows
another character is missing, all its other cuts are here. Bytropix replaced bytes that are not UTF-8; here nothing is
replaced. Marks are those of ASCII, as is Bytropix's punctuation; other scripts' spaces and stops do not cut.
"""

from __future__ import annotations

import string
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from unmask.data import utf8
from unmask.data.patches.patcher import PATCHERS, Bounded, PatchStream, bound, bounded


def _table(characters: str) -> Bool[np.ndarray, " 256"]:
    table = np.zeros(256, bool)
    table[list(characters.encode())] = True
    return table


class _Marks:
    """Patches that end after a mark of a table."""

    needs_entropy: ClassVar[bool] = False
    ignores_content = False
    marks: ClassVar[Bool[np.ndarray, " 256"]]
    every: ClassVar[bool]
    """Whether each mark of a run ends a patch, or the first one alone."""
    Options = Bounded

    def __init__(self, options: Bounded) -> None:
        self.options = options

    @property
    def longest(self) -> int | None:
        """Bytes that no patch exceeds; ``None``: no bound."""
        return bound(self.options.max_length)

    def starts(self, data: bytes) -> Bool[np.ndarray, " n"]:
        """Return whether each byte begins a patch."""
        marked = np.ones(len(data) + 2, bool)  # what is before a text counts as marks
        marked[2:] = self.marks[np.frombuffer(data, np.uint8)]
        last, before = marked[1:-1], marked[:-2]
        return bounded(last & (self.every | ~before), utf8.free(data), self.options.max_length)

    def stream(self) -> PatchStream:
        """Return a stream at the beginning of a text."""
        return PatchStream(_After(self.marks, self.every), self.options.max_length)


class _After:
    """The rule of :class:`_Marks`, byte by byte."""

    def __init__(self, marks: Bool[np.ndarray, " 256"], every: bool) -> None:
        self._marks, self._every = marks, every
        self._last = self._before = True

    def wanted(self, age: int) -> bool:
        return self._last and (self._every or not self._before)

    def push(self, byte: int) -> None:
        self._before, self._last = self._last, bool(self._marks[byte])


@PATCHERS.add("whitespace")
class Whitespace(_Marks):
    """Words, each with the whitespace byte that ends it."""

    name: ClassVar[str] = "whitespace"
    marks = _table(string.whitespace)
    every = False


@PATCHERS.add("delimiter")
class Delimiter(_Marks):
    """The cuts of Bytropix that can be known in time: a patch ends after every whitespace or punctuation byte."""

    name: ClassVar[str] = "delimiter"
    marks = _table(string.whitespace + string.punctuation)
    every = True
