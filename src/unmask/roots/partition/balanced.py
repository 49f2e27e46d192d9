"""Balanced k-means: no shelf holds more than ``cap`` times the mean, so that a budget of bytes is a number of shelves.

    shelf(x) = argmax_k <x, c_k> - |c_k|^2 / 2 - p_k

The price p_k rises where a shelf is asked for too much. Prices are the dual of balanced transport; they come from
Sinkhorn's iterations (Cuturi 2013, arXiv 1306.0895) at temperature e, over each vector's best shelves only:

    p_k += e ln( sum_i softmax_k((score_ik - p_k) / e) / (N / K) )

and stay in the rule, so vectors that come later from the same source are nearly balanced, too. What is still above
the cap moves to the next best shelf with room, least loss first.

Letters: N vectors, K shelves, D dimensions, C candidate shelves of a vector.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import Field

from unmask.roots.options import Options
from unmask.roots.partition.kmeans import filled, some
from unmask.roots.partition.partitioner import ROWS, ByCentroid, Partition, checked, finish, half_squares, means


class BalancedKMeans(ByCentroid):
    """k-means whose shelves are capped."""

    class Options(Options):
        """Settings."""

        cap: float = Field(1.05, ge=1)
        """The largest shelf, as a multiple of the mean (rounded up to whole vectors)."""
        iterations: int = Field(16, ge=1)
        """Of Lloyd."""
        candidates: int = Field(16, ge=2)
        """C: the shelves that a vector bids for."""
        points_per_shelf: int = Field(128, ge=1)
        """Vectors of the sample that it learns from, a shelf."""

    name: ClassVar[str] = "balanced_kmeans"

    @property
    def cap(self) -> float | None:
        """The largest shelf, as a multiple of the mean."""
        return self.options.cap

    def fit(self, vectors: Float32[np.ndarray, "N D"], shelves: int, seed: int = 0) -> Partition:
        """Return a partition.

        Raises:
            Error: no shelf, fewer vectors than shelves, or numbers that are not finite.
        """
        vectors = checked(vectors, shelves)
        sample = some(vectors, shelves * self.options.points_per_shelf, seed)
        centroids = sample[np.random.default_rng([seed, 1]).permutation(len(sample))[:shelves]]
        prices = np.zeros(shelves, np.float32)
        for _k in range(self.options.iterations):
            scores, shelf = bids(sample, centroids, prices, self.options.candidates)
            prices = priced(scores, shelf, prices, rounds=5)
            labels = chosen(scores, shelf, prices)
            badness = -scores[:, 0]
            centroids = means(sample, filled(labels, badness, shelves), shelves)
        scores, shelf = bids(vectors, centroids, prices, self.options.candidates)
        prices = priced(scores, shelf, prices, rounds=10)
        labels = chosen(scores, shelf, prices)
        limit = max(math.ceil(len(vectors) / shelves), math.floor(self.options.cap * len(vectors) / shelves))
        labels = capped(vectors, centroids, labels, limit)
        labels = filled(labels, -scores[:, 0], shelves)
        # Capping moved the means; vectors that come later meet the new ones, so the prices are found anew.
        centroids = means(vectors, labels, shelves)
        for _ in range(3):
            prices = priced(*bids(vectors, centroids, prices, self.options.candidates), prices, rounds=10)
        return finish(vectors, labels, shelves, seed, half_squares(centroids) + prices)


def bids(
    vectors: Float32[np.ndarray, "N D"],
    centroids: Float32[np.ndarray, "K D"],
    prices: Float32[np.ndarray, " K"],
    candidates: int,
) -> tuple[Float32[np.ndarray, "N C"], Int64[np.ndarray, "N C"]]:
    """Return the scores without prices, and the shelves, of those that are best with them; best first."""
    offsets = torch.from_numpy(half_squares(centroids) + prices)
    table, count = torch.from_numpy(np.ascontiguousarray(centroids.T)), min(candidates, len(centroids))
    found, where = [], []
    for block in torch.from_numpy(vectors).split(ROWS):
        score, shelf = (block @ table - offsets).topk(count, 1)
        found.append(score)
        where.append(shelf)
    shelf = torch.cat(where).numpy()
    return torch.cat(found).numpy() + prices[shelf], shelf


def priced(
    scores: Float32[np.ndarray, "N C"],
    shelf: Int64[np.ndarray, "N C"],
    prices: Float32[np.ndarray, " K"],
    rounds: int,
) -> Float32[np.ndarray, " K"]:
    """Return the prices after some rounds of Sinkhorn; their mean is 0."""
    heat = max(0.1 * float(np.std(scores[:, 0])), 1e-6)
    share = len(scores) / len(prices)
    for _ in range(rounds):
        weight = (scores - prices[shelf]) / heat
        weight = np.exp(weight - weight.max(1, keepdims=True))
        weight /= weight.sum(1, keepdims=True)
        load = np.bincount(shelf.ravel(), weight.ravel(), minlength=len(prices))
        prices = prices + heat * np.log(np.clip(load / share, 1e-2, None)).astype(np.float32)
        prices -= prices.mean()
    return prices


def chosen(
    scores: Float32[np.ndarray, "N C"], shelf: Int64[np.ndarray, "N C"], prices: Float32[np.ndarray, " K"]
) -> Int64[np.ndarray, " N"]:
    """Return each vector's best shelf at the prices."""
    best = (scores - prices[shelf]).argmax(1)
    found: Int64[np.ndarray, " N"] = np.take_along_axis(shelf, best[:, None], 1)[:, 0]
    return found


def capped(
    vectors: Float32[np.ndarray, "N D"],
    centroids: Float32[np.ndarray, "K D"],
    labels: Int64[np.ndarray, " N"],
    limit: int,
) -> Int64[np.ndarray, " N"]:
    """Return labels of which none is used more than ``limit`` times; K x limit >= N."""
    labels, offsets = labels.copy(), half_squares(centroids)
    while True:
        room = limit - np.bincount(labels, minlength=len(centroids))
        moving = np.flatnonzero(room[labels] < 0)
        if not len(moving):
            return labels
        open_to = np.flatnonzero(room > 0)
        loss, target = np.empty(len(moving), np.float32), np.empty(len(moving), np.int64)
        for first in range(0, len(moving), ROWS):
            part = moving[first : first + ROWS]
            scores = vectors[part] @ centroids[open_to].T - offsets[open_to]
            best = scores.argmax(1)
            own = (vectors[part] * centroids[labels[part]]).sum(1) - offsets[labels[part]]
            loss[first : first + ROWS] = own - np.take_along_axis(scores, best[:, None], 1)[:, 0]
            target[first : first + ROWS] = open_to[best]
        order = np.argsort(loss, kind="stable")
        moving, target = moving[order], target[order]
        fits = (ranks(target) < room[target]) & (ranks(labels[moving]) < -room[labels[moving]])
        labels[moving[fits]] = target[fits]


def ranks(group: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return how many entries before each one have the same value."""
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group)
    starts = np.repeat(counts.cumsum() - counts, counts)
    found = np.empty(len(group), np.int64)
    found[order] = np.arange(len(group)) - starts
    return found
