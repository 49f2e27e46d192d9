"""The contract of a partitioner: N vectors on K shelves, and a rule for vectors that come later.

    shelf(x) = argmax_k  <x, c_k> - b_k          b_k = |c_k|^2 / 2: the nearest centroid

A partitioner fits the labels of the vectors that it sees, in any way it likes; vectors that come later go where the
rule says (``assign``), so that a large collection is fitted on a sample and streamed. No shelf is empty where N >= K,
and the same seed gives the same partition.

A vector may lie on a second shelf, too (see ``spill``); the copies are counted in sizes.

Letters: N vectors, K shelves, D dimensions, M members of all shelves, copies included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Float32, Int64

from unmask.errors import Error
from unmask.roots.options import Options, validated
from unmask.roots.registry import PARTITIONERS as PARTITIONERS

ROWS = 8192
"""Vectors that are compared with all centroids at once; it bounds memory."""


class Members(NamedTuple):
    """What lies on each shelf: shelf k holds points[starts[k]:starts[k + 1]], rising.

    Attributes:
        starts: Where each shelf begins, and where the last ends.
        points: Numbers of vectors.
    """

    starts: Int64[np.ndarray, " K+1"]
    points: Int64[np.ndarray, " M"]

    def of(self, shelf: int) -> Int64[np.ndarray, " m"]:
        """Return the vectors on one shelf."""
        return self.points[self.starts[shelf] : self.starts[shelf + 1]]


@dataclass(frozen=True)
class Partition:
    """Vectors on shelves.

    Attributes:
        labels: The shelf of each vector.
        centroids: The mean of each shelf's vectors, as fitted.
        offsets: b of each shelf in the rule above.
        seed: Of the fit.
        second: A second shelf for some vectors, -1 for the others; ``None``: for none.
    """

    labels: Int64[np.ndarray, " N"]
    centroids: Float32[np.ndarray, "K D"]
    offsets: Float32[np.ndarray, " K"]
    seed: int = 0
    second: Int64[np.ndarray, " N"] | None = None

    @property
    def shelves(self) -> int:
        """K."""
        return len(self.centroids)

    @property
    def sizes(self) -> Int64[np.ndarray, " K"]:
        """The number of vectors on each shelf, copies included."""
        return np.diff(self.members().starts)

    def members(self) -> Members:
        """Return what lies on each shelf, copies included."""
        points, shelf = np.arange(len(self.labels)), self.labels
        if self.second is not None:
            copied = np.flatnonzero(self.second >= 0)
            points, shelf = np.concatenate([points, copied]), np.concatenate([shelf, self.second[copied]])
        order = np.lexsort((points, shelf))
        counts = np.bincount(shelf, minlength=self.shelves)
        return Members(np.concatenate([[0], counts.cumsum()]), points[order])


class Partitioner(Protocol):
    """What every registered partitioner does (see the contract tests, which run over the registry).

    Attributes:
        name: Its name.
        cap: The largest shelf it leaves, as a multiple of the mean; ``None``: no bound.
        options: Its settings.
    """

    name: ClassVar[str]
    options: Options

    @property
    def cap(self) -> float | None:
        """The largest shelf, as a multiple of the mean; ``None``: no bound."""
        ...

    def fit(self, vectors: Float32[np.ndarray, "N D"], shelves: int, seed: int = 0) -> Partition:
        """Return a partition.

        Raises:
            Error: no shelf, fewer vectors than shelves, or numbers that are not finite.
        """
        ...

    def assign(self, partition: Partition, vectors: Float32[np.ndarray, "N D"]) -> Int64[np.ndarray, " N"]:
        """Return the shelf of vectors that come later; each one's does not depend on the others."""
        ...


def make_partitioner(name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Return the partitioner of a name.

    Args:
        name: See :data:`PARTITIONERS`.
        options: Its settings; what is left out has its default.

    Raises:
        Error: unknown partitioner or option, or an impossible value.
    """
    part = PARTITIONERS.get(name)
    return part(validated(part, "partitioner", name, options))


def checked(vectors: Float[np.ndarray, "N D"], shelves: int) -> Float32[np.ndarray, "N D"]:
    """Return the vectors as contiguous float32.

    Raises:
        Error: no shelf, fewer vectors than shelves, or numbers that are not finite.
    """
    if vectors.ndim != 2:
        raise Error(f"a partition needs vectors [N, D], not {list(vectors.shape)}.")
    if not 1 <= shelves <= len(vectors):
        raise Error(f"{len(vectors)} vectors do not fill {shelves} shelves; choose from 1 to {len(vectors)}.")
    found = np.ascontiguousarray(vectors, np.float32)
    if not np.isfinite(found).all():
        raise Error("some vectors are not finite; leave those texts out or embed them again.")
    return found


def finish(
    vectors: Float32[np.ndarray, "N D"],
    labels: Int64[np.ndarray, " N"],
    shelves: int,
    seed: int,
    offsets: Float32[np.ndarray, " K"] | None = None,
) -> Partition:
    """Return the partition of given labels: centroids are means, and the rule is the nearest one by default."""
    centroids = means(vectors, labels, shelves)
    return Partition(
        labels.astype(np.int64), centroids, half_squares(centroids) if offsets is None else offsets.copy(), seed
    )


def nearest(partition: Partition, vectors: Float32[np.ndarray, "N D"]) -> Int64[np.ndarray, " N"]:
    """Return argmax_k <x, c_k> - b_k of each vector, in blocks."""
    found = np.empty(len(vectors), np.int64)
    for first in range(0, len(vectors), ROWS):
        block = vectors[first : first + ROWS] @ partition.centroids.T
        found[first : first + ROWS] = (block - partition.offsets).argmax(1)
    return found


class ByCentroid:
    """What most partitioners share: their settings, no bound on a shelf, the nearest centroid for what comes later."""

    cap: ClassVar[float | None] = None
    assign = staticmethod(nearest)

    def __init__(self, options: Any) -> None:
        self.options = options


def half_squares(centroids: Float32[np.ndarray, "K D"]) -> Float32[np.ndarray, " K"]:
    """Return |c|^2 / 2 of each row."""
    found: Float32[np.ndarray, " K"] = np.square(centroids).sum(1) / 2
    return found


def totals(
    vectors: Float[np.ndarray, "N D"], labels: Int64[np.ndarray, " N"], shelves: int
) -> Float[np.ndarray, "K D"]:
    """Return the sum of the vectors of each label."""
    count = len(labels)
    from scipy.sparse import csr_array  # a tenth of a second, which whoever only writes texts need not wait

    chosen = csr_array((np.ones(count, vectors.dtype), labels, np.arange(count + 1)), shape=(count, shelves))
    found: Float[np.ndarray, "K D"] = np.asarray(chosen.T @ vectors)
    return found


def means(
    vectors: Float32[np.ndarray, "N D"], labels: Int64[np.ndarray, " N"], shelves: int
) -> Float32[np.ndarray, "K D"]:
    """Return the mean of the vectors of each label; zeros where there are none."""
    count = np.bincount(labels, minlength=shelves)
    found: Float32[np.ndarray, "K D"] = totals(vectors, labels, shelves) / np.maximum(count, 1)[:, None]
    return found.astype(np.float32)


def unit(vectors: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Return the vectors scaled to length 1; zeros stay."""
    found: Float32[np.ndarray, "N D"] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return found
