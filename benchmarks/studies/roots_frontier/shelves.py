"""What a rival finds, and what each question finds when shelves of a partition are opened in a router's order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.lib.worlds import TOP, Corpus, Questions
from unmask.roots.building.learn import LESSONS, sentence
from unmask.roots.embed.embedders import Reader, read_texts
from unmask.roots.partition import Partition
from unmask.roots.search.budget import upto
from unmask.roots.search.scan import Best, scan
from unmask.roots.shelves import core, statistics
from unmask.roots.shelves.segment import Segment
from unmask.roots.shelves.shelf_bytes import ShelfBytes
from unmask.roots.shelves.vectors import keep

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
SHORT = 100  # candidates that are scored again
RANK = 4


class Found(NamedTuple):
    """What one rival found at one setting.

    Attributes:
        entrant: Its name.
        setting: How far it went, for the table.
        members: Numbers of texts, [Q, 10]; -1: none.
        share: Of the texts, that a query read.
        read: Bytes that a query read.
        resident: Bytes in memory.
        router: Bytes that routing alone needs, in float32.
    """

    entrant: str
    setting: str
    members: np.ndarray
    share: float
    read: float
    resident: int
    router: int = 0


def shelves_for(count: int) -> int:
    """Return K as the index chooses it."""
    return 1 << max(0, round(np.log2(np.sqrt(count))))


def lessons(corpus: Corpus, reader: Reader, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of sentences of the texts, and the true nearest of each but for its own text."""
    rng = np.random.default_rng([seed, 7])
    own = rng.permutation(len(corpus.texts))[: min(LESSONS, len(corpus.texts) // 2)]
    queries = read_texts(reader, [sentence(corpus.texts[row].encode(), rng) for row in own]).vectors
    known = queries.any(1)
    queries, own = queries[known], own[known]
    scores = queries @ corpus.vectors.T
    scores[np.arange(len(own)), own] = -np.inf
    return queries, np.argpartition(-scores, TOP, axis=1)[:, :TOP]


class Shelves:
    """Texts on shelves, in memory.

    Args:
        corpus: The texts.
        partition: The shelf of each, copies included.
        storage: How vectors are kept.
        kind: How the core is kept; ``None``: the shelves of another library, of which only centroids are known.
    """

    def __init__(
        self, corpus: Corpus, partition: Partition, storage: str = "int8", kind: str | None = "float16"
    ) -> None:
        members = partition.members()
        self.points, self.sizes, self.copies = members.points, np.diff(members.starts), partition.second is not None
        self.count = len(corpus.vectors)
        kept = keep(corpus.vectors[self.points], storage)
        self.row_bytes = kept.row_bytes
        none = np.zeros(len(self.points), np.float32)
        numbers, digests = none.astype(np.int32), none.astype(np.uint64)
        offsets = np.zeros(len(self.points) + 1, np.int64)
        self.segment = Segment(kept, none, numbers, numbers, digests, offsets, members.starts, b"")
        if kind is not None:
            labels = np.repeat(np.arange(partition.shelves), self.sizes)
            exact = statistics.measure(kept.floats(), labels, core.rounded(partition.centroids, kind), rank=RANK)
            arrays = core.to_arrays(exact, partition.offsets, ShelfBytes.empty(partition.shelves), kind)
            self.core_bytes = sum(array.nbytes for array in arrays.values())
            self.statistics = core.from_arrays(arrays).statistics

    def search(self, queries: np.ndarray, scores: np.ndarray, most: int) -> np.ndarray:
        """Return the best ten that lie within the first ``most`` vectors of each query's opening order."""
        k = min(2 * TOP if self.copies else TOP, len(self.points))
        best = Best.none(len(queries), k)
        scan([self.segment], [0], queries, upto(scores, self.sizes, most), best)
        found = np.where(best.members >= 0, self.points[np.maximum(best.members, 0)], -1)
        return first_ten(found) if self.copies else found

    def rows(self, name: str, questions: Questions, scores: np.ndarray, resident: int, router: int) -> Iterator[Found]:
        """Yield a row for each share."""
        for share in SHARES:
            most = max(1, int(np.ceil(share * self.count)))
            found = self.search(questions.vectors, scores, most)
            read = min(most, len(self.points))
            yield Found(name, f"{share:.0%}", found, read / self.count, read * self.row_bytes, resident, router)


def first_ten(found: np.ndarray) -> np.ndarray:
    """Return the first ten of each row without repeating one."""
    order = np.argsort(found, axis=1, kind="stable")
    ranked = np.take_along_axis(found, order, 1)
    fresh = np.ones(found.shape, bool)
    np.put_along_axis(fresh, order[:, 1:], ranked[:, 1:] != ranked[:, :-1], 1)
    chosen = np.argsort(~fresh, axis=1, kind="stable")[:, :TOP]
    return np.where(np.take_along_axis(fresh, chosen, 1), np.take_along_axis(found, chosen, 1), -1)
