"""All statistics of a segment, read once, shelf by shelf, in memory that does not grow with it.

Letters: N texts, K shelves, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from unmask.retrieval import grams, shelf_bytes, statistics
from unmask.retrieval.segment import Segment
from unmask.retrieval.shelf_bytes import ShelfBytes
from unmask.retrieval.statistics import ShelfStatistics

ROWS = 16_384  # texts in memory at once


class Measured(NamedTuple):
    """Statistics of all shelves.

    Attributes:
        statistics: Of the vectors as they are kept.
        held: Of the bytes.
        bitmaps: Which n-grams occur; ``None``: not kept.
    """

    statistics: ShelfStatistics
    held: ShelfBytes
    bitmaps: UInt8[np.ndarray, "K 8192"] | None


def measure(segment: Segment, centroids: Float32[np.ndarray, "K D"], size: int, rank: int) -> Measured:
    """Return the statistics of a segment.

    Args:
        segment: Texts on shelves.
        centroids: What angles are measured to, as the core keeps them.
        size: n of the n-gram bitmaps; 0: none.
        rank: Directions of a sketch.
    """
    vectors, held = [], []
    bitmaps = grams.empty(len(centroids)) if size else None
    for shelves in _runs(segment.starts):
        first, count = shelves.start, shelves.stop - shelves.start
        parts = []
        for rows in _rows(slice(int(segment.starts[shelves.start]), int(segment.starts[shelves.stop]))):
            labels = np.searchsorted(segment.starts, np.arange(rows.start, rows.stop), side="right") - 1 - first
            texts = [segment.text(row) for row in range(rows.start, rows.stop)]
            parts.append(
                (
                    statistics.measure(
                        segment.vectors.floats(rows), labels, centroids[shelves], segment.prominence[rows], rank=rank
                    ),
                    shelf_bytes.measure(texts, labels, count),
                )
            )
            if bitmaps is not None:
                grams.take(bitmaps[shelves], texts, labels, size)
        whole, bytes_of = parts[0]
        for more, more_bytes in parts[1:]:
            whole, bytes_of = statistics.merge(whole, more), shelf_bytes.merge(bytes_of, more_bytes)
        vectors.append(whole.to_arrays())
        held.append(bytes_of.to_arrays())
    return Measured(
        ShelfStatistics.from_arrays({name: np.concatenate([part[name] for part in vectors]) for name in vectors[0]}),
        ShelfBytes.from_arrays({name: np.concatenate([part[name] for part in held]) for name in held[0]}),
        bitmaps,
    )


def merge(a: Measured, b: Measured) -> Measured:
    """Return the statistics of both together; sums, ranges and bitmaps are exact."""
    bitmaps = None if a.bitmaps is None or b.bitmaps is None else a.bitmaps | b.bitmaps
    return Measured(statistics.merge(a.statistics, b.statistics), shelf_bytes.merge(a.held, b.held), bitmaps)


def _runs(starts: Int64[np.ndarray, " K+1"]) -> Iterator[slice]:
    """Yield neighbouring shelves that fit into memory together; one that does not fit stands alone."""
    first, shelves = 0, len(starts) - 1
    while first < shelves:
        last = int(np.searchsorted(starts, starts[first] + ROWS, side="right")) - 1
        last = min(max(last, first + 1), shelves)
        yield slice(first, last)
        first = last


def _rows(rows: slice) -> Iterator[slice]:
    yield slice(rows.start, min(rows.start + ROWS, rows.stop))
    for first in range(rows.start + ROWS, rows.stop, ROWS):
        yield slice(first, min(first + ROWS, rows.stop))
