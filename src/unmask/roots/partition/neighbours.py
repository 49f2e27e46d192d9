"""The nearest neighbours of every vector, by inner product, in blocks.

Up to ``EXACT`` vectors all pairs are compared, N^2 D; above, only those on the nearest ``PROBED`` shelves of a k-means
with about sqrt(N) shelves, which finds most of them.

Letters: N vectors, D dimensions, k neighbours.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from unmask.errors import Error
from unmask.roots.partition.partitioner import make_partitioner

EXACT = 20_000
PROBED = 8
ROWS = 1024


def neighbours(
    vectors: Float32[np.ndarray, "N D"], k: int, seed: int = 0, exact: int = EXACT
) -> tuple[Int64[np.ndarray, "N k"], Float32[np.ndarray, "N k"]]:
    """Return the k nearest other vectors of each, best first, and the inner products.

    Args:
        vectors: Of length 1, if "nearest" is to mean the angle.
        k: How many.
        seed: Of the shelves that are searched above ``exact`` vectors.
        exact: Up to how many vectors all pairs are compared.

    Raises:
        Error: there are not k others.
    """
    if not 1 <= k < len(vectors):
        raise Error(f"{len(vectors)} vectors do not have {k} neighbours each; ask for fewer.")
    every = torch.from_numpy(vectors)
    index, score = torch.empty(len(vectors), k, dtype=torch.int64), torch.empty(len(vectors), k)
    for rows, others in _blocks(vectors, k, seed) if len(vectors) > exact else _all(len(vectors)):
        scores = every[rows] @ every[others].T
        scores[rows[:, None] == others] = -math.inf
        best, place = scores.topk(k, 1)
        index[rows], score[rows] = others[place], best
    return index.numpy(), score.numpy()


def _all(count: int) -> list[tuple[Tensor, Tensor]]:
    others = torch.arange(count)
    return [(rows, others) for rows in others.split(ROWS)]


def _blocks(vectors: Float32[np.ndarray, "N D"], k: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    shelves = math.isqrt(len(vectors)) // 2
    partition = make_partitioner("balanced_kmeans", {"iterations": 8, "points_per_shelf": 64}).fit(
        vectors, shelves, seed
    )
    members, near = partition.members(), partition.centroids @ partition.centroids.T - partition.offsets
    order = np.argsort(-near, 1, kind="stable")
    found = []
    for shelf in range(shelves):
        own = members.of(shelf)
        others = [own]
        for other in (int(j) for j in order[shelf] if j != shelf):
            if len(others) >= PROBED and sum(map(len, others)) > k:
                break
            others.append(members.of(other))
        found.append((torch.from_numpy(own), torch.from_numpy(np.concatenate(others))))
    return found
