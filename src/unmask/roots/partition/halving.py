"""K shelves by halving: a group that is to fill K shelves is split into what fills ceil(K / 2) and what fills the rest.

So any K works, and with equal shares all leaves are as large. A level is split at once, for those splitters that gain
by it.

Letters: N vectors, n vectors of a group, G groups of a level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int64


class Split(NamedTuple):
    """How a group is to be split.

    Attributes:
        score: Of each vector; the highest go left.
        take: How many go left; it is bounded so that no shelf stays empty.
    """

    score: Float[np.ndarray, " n"]
    take: int


Splitter = Callable[[list[Int64[np.ndarray, " n"]], list[float]], list[Split]]
"""(the vectors of each group of a level, the share of each that is to go left) -> a split of each."""


def halve(count: int, shelves: int, split: Splitter) -> Int64[np.ndarray, " N"]:
    """Return labels 0 .. shelves - 1 of ``count`` vectors; neighbouring labels share their last split."""
    labels = np.empty(count, np.int64)
    level = [(np.arange(count), 0, shelves)]
    while level:
        for group, first, leaves in level:
            if leaves == 1:
                labels[group] = first
        level = [entry for entry in level if entry[2] > 1]
        halves = [-(-leaves // 2) for _, _, leaves in level]
        shares = [half / leaves for half, (_, _, leaves) in zip(halves, level, strict=True)]
        below = []
        for (group, first, leaves), half, (score, take) in zip(
            level, halves, split([entry[0] for entry in level], shares) if level else [], strict=True
        ):
            take = min(max(take, half), len(group) - (leaves - half))
            order = np.argsort(-score, kind="stable")
            below.append((np.sort(group[order[:take]]), first, half))
            below.append((np.sort(group[order[take:]]), first + half, leaves - half))
        level = below
    return labels


def principal(vectors: Float32[np.ndarray, "n D"], iterations: int, seed: int = 0) -> Float32[np.ndarray, " D"]:
    """Return the direction of the largest variance, by power iteration from a seeded start.

    A gap of the spectrum that is too small for ``iterations`` leaves a mixture of the leading directions.
    """
    mean = vectors.mean(0)
    axis: Float32[np.ndarray, " D"] = np.random.default_rng(seed).standard_normal((vectors.shape[1],), np.float32)
    for _ in range(iterations):
        along = vectors @ axis - mean @ axis
        axis = along @ vectors - along.sum() * mean
        axis /= max(float(np.linalg.norm(axis)), 1e-20)
    return axis
