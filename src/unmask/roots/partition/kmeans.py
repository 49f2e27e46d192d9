"""k-means: each vector to the nearest centroid, each centroid to the mean of its vectors (Lloyd 1982).

    argmin_k |x - c_k|^2 = argmax_k <x, c_k> - |c_k|^2 / 2

It begins at random vectors and learns from at most ``points_per_shelf`` x K of them, as faiss does; then all are
assigned. A centroid that lost all its vectors moves to the worst served one.

Letters: N vectors, K shelves, D dimensions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Int64
from pydantic import Field

from unmask.roots.options import Options
from unmask.roots.partition.partitioner import ROWS, ByCentroid, Partition, checked, finish, half_squares, means


class KMeans(ByCentroid):
    """Lloyd's k-means; shelves are as uneven as the data."""

    class Options(Options):
        """Settings."""

        iterations: int = Field(16, ge=1)
        """Of Lloyd; fewer where nothing moves any more."""
        points_per_shelf: int = Field(128, ge=1)
        """Vectors of the sample that it learns from, a shelf."""

    name: ClassVar[str] = "kmeans"

    def fit(self, vectors: Float32[np.ndarray, "N D"], shelves: int, seed: int = 0) -> Partition:
        """Return a partition.

        Raises:
            Error: no shelf, fewer vectors than shelves, or numbers that are not finite.
        """
        vectors = checked(vectors, shelves)
        sample = some(vectors, shelves * self.options.points_per_shelf, seed)
        centroids = sample[np.random.default_rng([seed, 1]).permutation(len(sample))[:shelves]]
        before = np.full(len(sample), -1)
        for _ in range(self.options.iterations):
            labels = filled(*served(sample, centroids), shelves)
            if (labels == before).all():
                break
            centroids, before = means(sample, labels, shelves), labels
        return finish(vectors, filled(*served(vectors, centroids), shelves), shelves, seed)


def some(vectors: Float32[np.ndarray, "N D"], count: int, seed: int) -> Float32[np.ndarray, "n D"]:
    """Return at most ``count`` of the vectors, in their order."""
    if len(vectors) <= count:
        return vectors
    return vectors[np.sort(np.random.default_rng([seed, 0]).permutation(len(vectors))[:count])]


def served(
    vectors: Float32[np.ndarray, "N D"], centroids: Float32[np.ndarray, "K D"]
) -> tuple[Int64[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
    """Return the nearest centroid of each vector, and half its squared distance."""
    label, half = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
    offsets = half_squares(centroids)
    for first in range(0, len(vectors), ROWS):
        part = slice(first, first + ROWS)
        scores = vectors[part] @ centroids.T
        scores -= offsets
        label[part] = scores.argmax(1)
        half[part] = half_squares(vectors[part]) - np.take_along_axis(scores, label[part, None], 1)[:, 0]
    return label, half


def filled(
    labels: Int64[np.ndarray, " N"], badness: Float32[np.ndarray, " N"], shelves: int
) -> Int64[np.ndarray, " N"]:
    """Return labels without an empty shelf: each takes the worst served vector of a shelf that keeps another one."""
    count = np.bincount(labels, minlength=shelves)
    empty = np.flatnonzero(count == 0).tolist()
    if not empty:
        return labels
    labels = labels.copy()
    for point in np.argsort(-badness, kind="stable").tolist():
        if count[labels[point]] > 1:
            count[labels[point]] -= 1
            labels[point] = empty.pop()
            if not empty:
                break
    return labels
