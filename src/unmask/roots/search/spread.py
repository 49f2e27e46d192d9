"""A search whose reading is done by workers: each reads segments of its own, and the best of all are taken together.

A shelf is read segment by segment, so what a search reads of it says what is read of each segment. A worker does the
same products of the same matrices as one process does, hence the same scores; of equal ones the lower number is better
here as there.

Letters: Q queries, q queries that read a segment, K shelves, D dimensions, k results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from unmask.roots.manifest import again
from unmask.roots.search.near import Own
from unmask.roots.search.scan import Best, Candidates, scan
from unmask.roots.shelves.segment import MEMBERS, Segment, open_segment
from unmask.workers import Workers

if TYPE_CHECKING:  # a worker that only reads need not load what an index is made with
    from unmask.roots.index import Index

_LOWEST = np.finfo(np.float32).min


class _Part(NamedTuple):
    """What is to be read of a segment.

    Attributes:
        asked: Folder of the index that was asked, for messages.
        segment: Folder of the segment.
        first: Number of its first document.
        queries: Vectors.
        upto: How many texts of each shelf.
        k: How many results.
        owns: What each query must not find.
    """

    asked: str
    segment: str
    first: int
    queries: Float32[np.ndarray, "q D"]
    upto: Int64[np.ndarray, "q K"]
    k: int
    owns: Sequence[Own] | None


@dataclass(frozen=True)
class Spread:
    """Reading by workers, for :func:`unmask.roots.search.search.search`.

    Attributes:
        index: The index that is searched.
        workers: They must see its files. Segment i is read by worker i mod N.
    """

    index: Index
    workers: Workers

    def __call__(
        self,
        segments: Sequence[Segment],
        firsts: Sequence[int],
        queries: Float32[np.ndarray, "Q D"],
        upto: Int64[np.ndarray, "Q K"],
        best: Best,
        owns: Sequence[Own] | None = None,
    ) -> None:
        """Read shelves into ``best``, as :func:`unmask.roots.search.scan.scan` does."""
        bases = np.cumsum([0, *map(len, segments)]).tolist()
        readers: list[Int64[np.ndarray, " q"]] = []

        def parts() -> Iterator[_Part]:
            left = upto
            for number, (segment, first) in enumerate(zip(segments, firsts, strict=True)):
                own = np.minimum(left, np.diff(segment.starts))
                left = left - own
                rows = np.flatnonzero(own.any(1))
                readers.append(rows)
                folder = self.index.path / self.index.manifest.segments[number].folder
                mine = None if owns is None else [owns[row] for row in rows.tolist()]
                path, where = str(self.index.path), str(folder.resolve())
                yield _Part(path, where, first, queries[rows], own[rows], best.scores.shape[1], mine)

        found = []
        for number, part in enumerate(self.workers.map(_read, parts())):
            row, place = np.nonzero(part.members >= 0)
            members, scores = part.members[row, place], part.scores[row, place]
            found.append(Candidates(readers[number][row], bases[number] + members, scores))
        best.take(found, np.maximum(best.scores[:, -1], _LOWEST))


Reading = Callable[..., None]
"""Either :func:`unmask.roots.search.scan.scan`, or a :class:`Spread`."""


def _read(part: _Part) -> Best:
    best = Best.none(len(part.queries), part.k)
    if len(part.queries):
        members = Path(part.segment) / MEMBERS
        there = members.stat() if members.is_file() else None
        stamp = (0, 0, 0) if there is None else (there.st_ino, there.st_mtime_ns, there.st_ctime_ns)
        segment = _opened(part.segment, part.asked, stamp)
        scan([segment], [part.first], part.queries, part.upto, best, part.owns)
    return best


@lru_cache(maxsize=64)
def _opened(folder: str, asked: str, stamp: tuple[int, int, int]) -> Segment:
    """Open a segment once, and again when another one lies there."""
    return open_segment(Path(folder), again(Path(asked)))
