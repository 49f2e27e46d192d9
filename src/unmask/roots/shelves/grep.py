"""Exact substring search: shelves whose byte statistics rule the pattern out are not read, the others are read whole.

Both tests that close a shelf are certain (:mod:`unmask.roots.shelves.shelf_bytes`, :mod:`unmask.roots.shelves.grams`),
so no text is missed; what they save depends on how rare the pattern's bytes and n-grams are, and is reported. A shelf's
texts lie one behind the other, so an open shelf is one sequential read.

Letters: K shelves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8, UInt16

from unmask.errors import Error
from unmask.roots.shelves import grams, shelf_bytes
from unmask.roots.shelves.segment import Segment


@dataclass(frozen=True)
class Signs:
    """What is known of the bytes of each shelf, for grep alone.

    Attributes:
        most: Most occurrences of each byte in one text.
        bitmaps: Which n-grams occur; ``None``: not kept.
        size: n; 0: not kept.
    """

    most: UInt16[np.ndarray, "K 256"]
    bitmaps: UInt8[np.ndarray, "K 8192"] | None
    size: int

    def may_hold(self, pattern: bytes) -> Bool[np.ndarray, " K"]:
        """Return which shelves may hold the pattern; never misses one."""
        found = shelf_bytes.may_hold(self.most, pattern)
        if self.bitmaps is not None:
            found &= grams.may_hold(self.bitmaps, pattern, self.size)
        return found


@dataclass(frozen=True)
class Match:
    """A text with the pattern in it.

    Attributes:
        segment: Number of its segment.
        row: Its place there.
        shelf: Its shelf.
        offset: Byte of the text at which the pattern first begins.
        count: How often the text has it, overlapping ones included.
    """

    segment: int
    row: int
    shelf: int
    offset: int
    count: int


@dataclass(frozen=True)
class Found:
    """What a grep found and what it read.

    Attributes:
        matches: Every text with the pattern, shelf by shelf.
        opened: Shelves that were read.
        bytes_read: Bytes of text on these.
        bytes_held: Bytes of text on all shelves.
    """

    matches: list[Match]
    opened: list[int]
    bytes_read: int
    bytes_held: int


def grep(segments: Sequence[Segment], signs: Signs, pattern: bytes) -> Found:
    """Return every text that has ``pattern`` in it.

    Args:
        segments: All segments of an index.
        signs: What is known of its shelves.
        pattern: Bytes; case and white space count.

    Raises:
        Error: an empty pattern.
    """
    if not pattern:
        raise Error("the pattern is empty, and every text holds it. Give at least one byte.")
    opened = np.flatnonzero(signs.may_hold(pattern)).tolist()
    matches: list[Match] = []
    read = 0
    for shelf in opened:
        for number, segment in enumerate(segments):
            rows = segment.shelf(shelf)
            read += int(segment.offsets[rows.stop] - segment.offsets[rows.start])
            matches += [Match(number, row, shelf, at, count) for row, at, count in _matches(segment, rows, pattern)]
    return Found(matches, opened, read, sum(int(segment.offsets[-1]) for segment in segments))


def _matches(segment: Segment, rows: slice, pattern: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (row, offset of the first match, number of matches) of a shelf's texts; a match is within one text."""
    borders = np.asarray(segment.offsets[rows.start : rows.stop + 1])
    at, end = int(borders[0]), int(borders[-1])
    row, first, count = -1, 0, 0
    while (at := segment.texts.find(pattern, at, end)) >= 0:
        place = int(np.searchsorted(borders, at, side="right")) - 1
        if at + len(pattern) <= borders[place + 1]:  # else it begins in one text and ends in another
            if place != row:
                if count:
                    yield rows.start + row, first, count
                row, first, count = place, at - int(borders[place]), 0
            count += 1
        at += 1
    if count:
        yield rows.start + row, first, count
