"""All statistics of segments, read once, shelf by shelf, in memory that does not grow with them.

A shelf is read through all segments, in their order: what several segments give is what one of all their texts gives.

Letters: N texts, K shelves, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from unmask.roots.shelves import grams, shelf_bytes, statistics
from unmask.roots.shelves.segment import Segment
from unmask.roots.shelves.shelf_bytes import ShelfBytes
from unmask.roots.shelves.statistics import ShelfStatistics
from unmask.roots.shelves.vectors import Vectors
from unmask.workers import HERE, Workers

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


class _Block(NamedTuple):
    """Texts of neighbouring shelves, to be measured at once.

    Attributes:
        shelves: The shelves.
        vectors: As they are kept.
        prominence: Of each text.
        texts: UTF-8.
        labels: The shelf of each, from 0 for the first of them.
        centroids: Of the shelves.
        size: n of the n-gram bitmaps; 0: none.
        rank: Directions of a sketch.
    """

    shelves: slice
    vectors: Vectors
    prominence: Float32[np.ndarray, " n"]
    texts: list[bytes]
    labels: Int64[np.ndarray, " n"]
    centroids: Float32[np.ndarray, "K D"]
    size: int
    rank: int


def measure(
    segments: Sequence[Segment],
    centroids: Float32[np.ndarray, "K D"],
    size: int,
    rank: int,
    workers: Workers = HERE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measured:
    """Return the statistics of segments together.

    Args:
        segments: Texts on shelves, the same in all.
        centroids: What angles are measured to, as the core keeps them.
        size: n of the n-gram bitmaps; 0: none.
        rank: Directions of a sketch.
        workers: Who does it.
        progress: Called with (shelves measured, shelves in all).
    """
    runs: list[tuple[slice, Measured]] = []
    if sum(map(len, segments)) <= ROWS:  # one block: it is not worth the way to a worker
        workers = HERE
    for shelves, part in workers.map(_measured, _blocks(segments, centroids, size, rank)):
        if runs and runs[-1][0] == shelves:
            runs[-1] = shelves, merge(runs[-1][1], part)
        else:
            runs.append((shelves, part))
        progress(shelves.stop, len(centroids))
    parts = [part for _, part in runs]
    vectors, held = ([one.to_arrays() for one in column] for column in ((p[0] for p in parts), (p[1] for p in parts)))
    return Measured(
        ShelfStatistics.from_arrays({name: np.concatenate([part[name] for part in vectors]) for name in vectors[0]}),
        ShelfBytes.from_arrays({name: np.concatenate([part[name] for part in held]) for name in held[0]}),
        np.concatenate([part.bitmaps for part in parts if part.bitmaps is not None]) if size else None,
    )


def _measured(block: _Block) -> tuple[slice, Measured]:
    count = len(block.centroids)
    bitmaps = grams.empty(count) if block.size else None
    if bitmaps is not None:
        grams.take(bitmaps, block.texts, block.labels, block.size)
    found = statistics.measure(block.vectors.floats(), block.labels, block.centroids, block.prominence, rank=block.rank)
    return block.shelves, Measured(found, shelf_bytes.measure(block.texts, block.labels, count), bitmaps)


def _blocks(
    segments: Sequence[Segment], centroids: Float32[np.ndarray, "K D"], size: int, rank: int
) -> Iterator[_Block]:
    """Yield all texts, shelf by shelf: some shelves that fit into memory together, or parts of one that does not."""
    starts = np.sum([segment.starts for segment in segments], axis=0)
    for shelves in _runs(starts):
        places = [
            (segment, range(int(segment.starts[shelf]), int(segment.starts[shelf + 1])), shelf - shelves.start)
            for shelf in range(shelves.start, shelves.stop)
            for segment in segments
        ]
        for rows in _rows(slice(0, int(starts[shelves.stop] - starts[shelves.start]))):
            yield _block(places, rows, shelves, centroids[shelves], size, rank)


def _block(
    places: Sequence[tuple[Segment, range, int]],
    rows: slice,
    shelves: slice,
    centroids: Float32[np.ndarray, "K D"],
    size: int,
    rank: int,
) -> _Block:
    """Return some rows of what lies at places (segment, rows of it, shelf), one behind the other."""
    values, scales, prominence, texts, labels = [], [], [], [], []
    before = 0
    for segment, members, shelf in places:
        own = members[max(0, rows.start - before) : max(0, rows.stop - before)]
        before += len(members)
        values.append(segment.vectors.values[own.start : own.stop])
        scales.append(segment.vectors.scales[own.start : own.stop])
        prominence.append(segment.prominence[own.start : own.stop])
        texts += [segment.text(row) for row in own]
        labels.append(np.full(len(own), shelf))
    vectors = Vectors(np.concatenate(values), np.concatenate(scales))
    return _Block(shelves, vectors, np.concatenate(prominence), texts, np.concatenate(labels), centroids, size, rank)


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
