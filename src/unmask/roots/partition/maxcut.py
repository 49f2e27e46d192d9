"""The largest cut of the dense graph of dissimilarities 1 - cos, in closed form: no matrix of N x N.

    cut(s) = sum_(i<j) (1 - <x_i, x_j>) [s_i != s_j] = const + ( |w|^2 - m^2 ) / 4,   w = sum_i s_i x_i,  m = sum_i s_i

for vectors of length 1: the best cut is a balanced one with far means. |w'|^2 >= 2 <w, w'> - |w|^2 bounds it from below
by a function of the projections p_i = <x_i, w> and of m alone, whose maximum is exact: sort p, try every prefix

    s' = argmax 2 sum_i s_i p_i - m(s)^2

so that the cut never falls (a minorise-maximise step; without m it is the L1-PCA of Kwak 2008). A sweep costs
O(N D + N ln N) and moves all spins at once, where parallel single flips would oscillate. Then spins are flipped
one at a time while that pays. More than two shelves come by halving; an uneven share b moves the balance: (m - b N)^2.

Letters: N vectors of a group, D dimensions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Int64
from pydantic import Field

from unmask.roots.options import Options
from unmask.roots.partition.halving import Split, halve, principal
from unmask.roots.partition.partitioner import ByCentroid, Partition, checked, finish, unit


class MaxCut(ByCentroid):
    """Cuts that separate the dissimilar, by halving; a cut is nearly balanced, not exactly."""

    class Options(Options):
        """Settings."""

        sweeps: int = Field(20, ge=1)
        """At most, from each start."""
        starts: int = Field(1, ge=1)
        """The first is the principal axis, the others are random directions; the largest cut stays."""
        flips: int = Field(16, ge=0)
        """Single spins that are flipped at most, after the sweeps."""

    name: ClassVar[str] = "maxcut"

    def fit(self, vectors: Float32[np.ndarray, "N D"], shelves: int, seed: int = 0) -> Partition:
        """Return a partition.

        Raises:
            Error: no shelf, fewer vectors than shelves, or numbers that are not finite.
        """
        vectors = checked(vectors, shelves)
        directions = unit(vectors)

        def split(groups: list[Int64[np.ndarray, " n"]], shares: list[float]) -> list[Split]:
            return [self._cut(directions[group], share, seed) for group, share in zip(groups, shares, strict=True)]

        return finish(vectors, halve(len(vectors), shelves, split), shelves, seed)

    def _cut(self, vectors: Float32[np.ndarray, "n D"], share: float, seed: int) -> Split:
        rng = np.random.default_rng([seed, len(vectors)])
        best, spins = -np.inf, np.zeros(0)
        for start in range(self.options.starts):
            axis = rng.standard_normal((vectors.shape[1],), np.float32) if start else principal(vectors, 6, seed)
            found = swept(vectors, vectors @ axis, share, self.options.sweeps)
            found = flipped(vectors, found, share, self.options.flips)
            value = objective(vectors, found, share)
            if value > best:
                best, spins = value, found
        pull = vectors @ (spins @ vectors)
        return Split(spins + pull / (2 * np.abs(pull).max() + 1e-20), int((spins > 0).sum()))


def objective(vectors: Float32[np.ndarray, "n D"], spins: Float32[np.ndarray, " n"], share: float = 0.5) -> float:
    """Return |w|^2 - (m - b n)^2; with share 1/2 (b = 0) and vectors of length 1 it is 4 cut(s) + constant."""
    w, m = spins @ vectors, float(spins.sum()) - (2 * share - 1) * len(spins)
    return float(w.astype(np.float64) @ w) - m * m


def swept(
    vectors: Float32[np.ndarray, "n D"], along: Float32[np.ndarray, " n"], share: float, sweeps: int
) -> Float32[np.ndarray, " n"]:
    """Return the spins after sweeps that never lower the cut, from those whose ``along`` is highest."""
    count = len(vectors)
    spins = np.full(count, -1, np.float32)
    spins[np.argsort(-along, kind="stable")[: round(share * count)]] = 1
    up = np.arange(count + 1)
    balance = np.square(2 * up - count - (2 * share - 1) * count)
    for _ in range(sweeps):
        pull = (vectors @ (spins @ vectors)).astype(np.float64)
        order = np.argsort(-pull, kind="stable")
        prefix = np.concatenate([[0], pull[order].cumsum()])
        take = int((2 * (2 * prefix - prefix[-1]) - balance).argmax())
        after = np.full(count, -1, np.float32)
        after[order[:take]] = 1
        if (after == spins).all():
            break
        spins = after
    return spins


def flipped(
    vectors: Float32[np.ndarray, "n D"], spins: Float32[np.ndarray, " n"], share: float, flips: int
) -> Float32[np.ndarray, " n"]:
    """Return the spins after flipping, one at a time, that which gains most, while one gains."""
    spins, own = spins.copy(), np.square(vectors).sum(1) - 1
    pull, m = vectors @ (spins @ vectors), float(spins.sum()) - (2 * share - 1) * len(spins)
    for _ in range(flips):
        gain = own - spins * (pull - m)
        i = int(gain.argmax())
        if gain[i] <= 1e-4:
            break
        pull -= 2 * spins[i] * (vectors @ vectors[i])
        m -= 2 * float(spins[i])
        spins[i] = -spins[i]
    return spins
