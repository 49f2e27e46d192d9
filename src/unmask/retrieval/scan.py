"""Reading opened shelves: inner products with their members, and the best k of each query.

A shelf is a contiguous slice of each segment, so opening it is one product of matrices, shared by all queries that open
it.

Letters: Q queries, K shelves, D dimensions, k results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from unmask.retrieval.near import NOTHING, Own, near
from unmask.retrieval.segment import Segment

_HELD = 1 << 22  # scores held at once


@dataclass
class Best:
    """The best members of each query so far, best first; ``-inf`` and -1 where there are fewer than k.

    Attributes:
        scores: Inner products.
        members: Numbers of texts in the index: those of the first segment, then those of the next.
    """

    scores: Float32[np.ndarray, "Q k"]
    members: Int64[np.ndarray, "Q k"]

    @classmethod
    def none(cls, queries: int, k: int) -> Best:
        """Return what is known before any shelf is read."""
        scores = np.full((queries, k), -np.inf, np.float32)
        return cls(scores, np.full((queries, k), -1))

    def take(self, rows: slice, scores: Float32[np.ndarray, "q n"], members: Int64[np.ndarray, "q n"]) -> None:
        """Take scored members for some queries; ``-inf`` is no result."""
        k = self.scores.shape[1]
        if scores.shape[1] > k:
            chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores, members = np.take_along_axis(scores, chosen, 1), np.take_along_axis(members, chosen, 1)
        scores = np.concatenate([self.scores[rows], scores], axis=1)
        members = np.concatenate([self.members[rows], np.where(np.isneginf(scores[:, k:]), -1, members)], axis=1)
        order = np.lexsort((members, -scores), axis=1)[:, :k]
        self.scores[rows] = np.take_along_axis(scores, order, 1)
        self.members[rows] = np.take_along_axis(members, order, 1)


def scan(
    segments: Sequence[Segment],
    firsts: Sequence[int],
    queries: Float32[np.ndarray, "Q D"],
    upto: Int64[np.ndarray, "Q K"],
    best: Best,
    owns: Sequence[Own] | None = None,
) -> None:
    """Read shelves into ``best``.

    Args:
        segments: Of the index.
        firsts: Number of the first document of each.
        queries: Vectors.
        upto: How many texts of each shelf to read for each query, the first segment's first; none was read before.
        best: What is known; it is changed.
        owns: What each query must not find.
    """
    most = int(upto.sum(1).max(initial=0))
    if not most:
        return
    widest = max(int(np.diff(segment.starts).max()) for segment in segments)
    at_once = max(1, _HELD // (most + widest))
    for first in range(0, len(queries), at_once):
        rows = slice(first, first + at_once)
        scores, members = _scored(segments, firsts, queries[rows], upto[rows], most + widest, owns and owns[rows])
        best.take(rows, scores, members)


def _scored(
    segments: Sequence[Segment],
    firsts: Sequence[int],
    queries: Float32[np.ndarray, "q D"],
    upto: Int64[np.ndarray, "q K"],
    width: int,
    owns: Sequence[Own] | None,
) -> tuple[Float32[np.ndarray, "q n"], Int64[np.ndarray, "q n"]]:
    """Return the scores of all members that are read, side by side, and their numbers; ``-inf`` where there is none."""
    found = np.full((len(queries), width), -np.inf, np.float32)
    members = np.full((len(queries), width), -1)
    cursor = np.zeros(len(queries), np.int64)
    bases = np.cumsum([0, *map(len, segments)]).tolist()
    for shelf in np.flatnonzero(upto.any(0)).tolist():
        rows = np.flatnonzero(upto[:, shelf])
        left = upto[rows, shelf]
        for segment, first, base in zip(segments, firsts, bases, strict=False):
            part = segment.shelf(shelf)
            count = min(int(left.max()), part.stop - part.start)
            if count <= 0:
                continue
            part = slice(part.start, part.start + count)
            scores = segment.vectors.dot(queries[rows], part.start, part.stop)
            if int(left.min()) < count:
                scores[np.arange(count) >= left[:, None]] = -np.inf
            mine = [owns[row] for row in rows.tolist()] if owns is not None else []
            if any(own is not NOTHING for own in mine):
                scores[near(scores, segment, part, first, mine)] = -np.inf
            if len(rows) == 1:
                places: Any = int(rows[0]), slice(int(cursor[rows[0]]), int(cursor[rows[0]]) + count)
            else:
                places = rows[:, None], cursor[rows][:, None] + np.arange(count)
            found[places] = scores
            members[places] = np.arange(base + part.start, base + part.stop)
            cursor[rows] += np.clip(left, 0, count)  # what one query does not read, its next shelf writes over
            left = left - count
    return found, members
