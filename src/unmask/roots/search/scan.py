"""Reading opened shelves: inner products with their members, and the best k of each query.

A shelf is a contiguous slice of each segment, so opening it is one product of matrices, shared by all queries that open
it. Of its scores only those outlive it that reach the query's k-th best of any one shelf so far: nothing below that can
be among the best k of all. So the work after the product is a few passes over each block while it is in the cache.

Letters: Q queries, q queries of a block, K shelves, D dimensions, n members of a block, k results, C candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from unmask.roots.search.near import NOTHING, Own, near
from unmask.roots.shelves.segment import Segment

_BLOCK = 1 << 18  # scores of one product: what the processor's cache holds
_KEPT = 1 << 20  # candidates held at once
_LOWEST = np.finfo(np.float32).min  # above -inf, which is no result


class Candidates(NamedTuple):
    """Scored members, each for one query.

    Attributes:
        rows: The queries.
        members: Numbers of texts in the index.
        scores: Inner products.
    """

    rows: Int64[np.ndarray, " C"]
    members: Int64[np.ndarray, " C"]
    scores: Float32[np.ndarray, " C"]


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

    def take(self, found: Sequence[Candidates], needed: Float32[np.ndarray, " Q"]) -> None:
        """Take candidates in any order; of equal scores the lower number is better.

        Args:
            found: New members.
            needed: At most the k-th best score of each query, counting the new ones.
        """
        count, k = self.scores.shape
        known = self.members >= 0
        old = Candidates(np.nonzero(known)[0], self.members[known], self.scores[known])
        rows, members, scores = map(np.concatenate, zip(old, *found, strict=True))
        able = scores >= needed[rows]
        rows, members, scores = rows[able], members[able], scores[able]
        order = np.lexsort((members, -scores, rows))
        rows = rows[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, np.arange(count))[rows]
        best = place < k
        self.scores[rows[best], place[best]] = scores[order[best]]
        self.members[rows[best], place[best]] = members[order[best]]


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
    bases = np.cumsum([0, *map(len, segments)]).tolist()
    needed = np.maximum(best.scores[:, -1], _LOWEST)
    held: list[Candidates] = []
    readers = np.empty_like(queries)  # written again for each block: fresh memory costs more than the product
    for number, part, rows, left in _blocks(segments, upto):
        np.take(queries, rows, axis=0, out=readers[: len(rows)], mode="clip")
        scores = segments[number].vectors.dot(readers[: len(rows)], part.start, part.stop)
        cut = np.flatnonzero(left < scores.shape[1])
        if len(cut):
            scores[cut] = np.where(np.arange(scores.shape[1]) < left[cut, None], scores[cut], -np.inf)
        mine = [owns[row] for row in rows.tolist()] if owns is not None else []
        if any(own is not NOTHING for own in mine):
            scores[near(scores, segments[number], part, firsts[number], mine)] = -np.inf
        held.append(_candidates(scores, rows, bases[number] + part.start, needed, best.scores.shape[1]))
        if sum(len(found.rows) for found in held) > _KEPT:
            best.take(held, needed)
            held = []
    best.take(held, needed)


def _blocks(
    segments: Sequence[Segment], upto: Int64[np.ndarray, "Q K"]
) -> Iterator[tuple[int, slice, Int64[np.ndarray, " q"], Int64[np.ndarray, " q"]]]:
    """Yield what is read at once: a segment's number, rows of it, the queries that read them, and how far each does."""
    for shelf in np.flatnonzero(upto.any(0)).tolist():
        readers = np.flatnonzero(upto[:, shelf])
        left = upto[readers, shelf]
        for number, segment in enumerate(segments):
            whole = segment.shelf(shelf)
            count = min(int(left.max()), whole.stop - whole.start)
            if count > 0:
                at_once = max(1, _BLOCK // count)
                for first in range(0, len(readers), at_once):
                    rows = slice(first, first + at_once)
                    yield number, slice(whole.start, whole.start + count), readers[rows], left[rows]
            left = left - (whole.stop - whole.start)
            readers, left = readers[left > 0], left[left > 0]
            if not len(readers):
                break


def _candidates(
    scores: Float32[np.ndarray, "q n"],
    rows: Int64[np.ndarray, " q"],
    first: int,
    needed: Float32[np.ndarray, " Q"],
    k: int,
) -> Candidates:
    """Return the scores that may be among a query's best, and raise what it needs to the k-th best of the block."""
    least = needed[rows]
    count = scores.shape[1]
    if count > k:
        least = np.maximum(least, np.partition(scores, count - k, axis=1)[:, count - k])
        needed[rows] = least
    row, column = np.divmod(np.flatnonzero(scores >= least[:, None]), count)
    return Candidates(rows[row], first + column, scores[row, column])
