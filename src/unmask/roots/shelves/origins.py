"""Where the texts of a segment were read: a number of a file and a line for each, and the files' names once.

Eight bytes a text, beside a vector of 64 or more. An index that was built before has none, and its texts have no place.

Letters: N texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int32, UInt8

ARRAYS = ("source", "line", "names")
"""How a segment's file names the three fields."""


@dataclass(frozen=True)
class Origins:
    """Where texts were read.

    Attributes:
        source: Number of each one's file; -1: not known.
        line: Of each one's beginning, or its row, from 1; 0: not known.
        packed: Names of the files, a zero byte between two.
    """

    source: Int32[np.ndarray, " N"]
    line: Int32[np.ndarray, " N"]
    packed: UInt8[np.ndarray, " n"]

    @cached_property
    def names(self) -> list[str]:
        """Names of the files; a name need not be UTF-8."""
        return self.packed.tobytes().decode("utf-8", "surrogateescape").split("\0")

    def of(self, row: int) -> tuple[str, int | None] | None:
        """Return file and line of a text."""
        source = int(self.source[row])
        return None if source < 0 else (self.names[source], int(self.line[row]) or None)


def pack(names: Iterable[str]) -> UInt8[np.ndarray, " n"]:
    """Return names as :class:`Origins` keeps them."""
    return np.frombuffer("\0".join(names).encode("utf-8", "surrogateescape"), np.uint8)


def joined(parts: Sequence[Origins | None]) -> tuple[UInt8[np.ndarray, " n"], list[Int32[np.ndarray, " m"]]] | None:
    """Return the names of several segments, each once, and for each segment the new numbers of its own (last: of -1).

    ``None``: no segment has any.
    """
    numbers: dict[str, int] = {}
    maps = []
    for part in parts:
        names = [] if part is None else part.names
        maps.append(np.array([*(numbers.setdefault(name, len(numbers)) for name in names), -1], np.int32))
    return (pack(numbers), maps) if any(part is not None for part in parts) else None
