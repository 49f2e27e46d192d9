"""Route by an optimistic guess of a shelf's best vector: the mean of the inner products and some of their deviations.

    score = <q, mu_k> + delta sqrt( q^T S_k q / n_k )

A shelf whose vectors differ along q may hold a good one though its mean is far (Optimist: Bruch, Krishnan & Nardini
2024, arXiv 2405.12207). S_k is the sketch of :mod:`unmask.roots.shelves.statistics`: R directions and the rest spread
evenly, so rank 0 is one number a shelf, and a rank of min(n - 1, D) is exact: the reference.

Letters: Q queries, K shelves, D dimensions, R rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from pydantic import Field

from unmask.roots.options import Options
from unmask.roots.route.router import Lessons, opening_order
from unmask.roots.shelves.dial import found_share
from unmask.roots.shelves.statistics import ShelfStatistics

DELTAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


class MomentsRouter:
    """Mean and deviation of inner products."""

    class Options(Options):
        """Settings."""

        delta: float = Field(2.0, ge=0)
        """Deviations that are hoped for; :func:`best_delta` chooses it. 0: the centroid router."""

    name: ClassVar[str] = "moments"
    learns: ClassVar[bool] = False

    def __init__(self, options: Options, statistics: ShelfStatistics) -> None:
        self.options = options
        self._mean, self._empty = statistics.mean, statistics.count == 0
        n = np.maximum(statistics.count, 1)
        length = np.square(statistics.sketch).sum(2)
        free = max(1, statistics.sketch.shape[2] - statistics.rank)
        rest = np.maximum(statistics.trace - length.sum(1), 0) / free / n
        # |B q|^2 / n + rest (|q|^2 - |projection|^2): the rows of B are orthogonal, so both are one product.
        gain = np.sqrt(
            np.maximum(1 / n[:, None] - rest[:, None] / np.maximum(length, 1e-30), 0)
            * (length > 1e-9 * statistics.trace[:, None])
        )
        self._rows = (statistics.sketch * gain[:, :, None]).astype(np.float32)
        self._rest = rest.astype(np.float32)

    @property
    def nbytes(self) -> int:
        """Means, sketches and what is left of the traces."""
        return int(self._mean.nbytes + self._rows.nbytes + self._rest.nbytes)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return nothing: it learns nothing."""
        return {}

    def moments(
        self, queries: Float32[np.ndarray, "Q D"]
    ) -> tuple[Float32[np.ndarray, "Q K"], Float32[np.ndarray, "Q K"]]:
        """Return the mean of each shelf's inner products with each query, and their deviation by the sketch."""
        shelves, rank, width = self._rows.shape
        variance = np.square(queries).sum(1)[:, None] * self._rest
        if rank:
            along = queries @ self._rows.reshape(-1, width).T
            variance = variance + np.square(along).reshape(len(queries), shelves, rank).sum(2)
        return queries @ self._mean.T, np.sqrt(variance)

    def scores(self, queries: Float32[np.ndarray, "Q D"]) -> Float32[np.ndarray, "Q K"]:
        """Return mean + delta x deviation."""
        mean, deviation = self.moments(queries)
        return np.where(self._empty, np.float32(-np.inf), mean + np.float32(self.options.delta) * deviation)


def best_delta(
    statistics: ShelfStatistics, held_out: Lessons, share: float = 0.1, deltas: Sequence[float] = DELTAS
) -> float:
    """Return the delta that finds most of the true nearest of held-out queries when a share of all vectors is scanned.

    Args:
        statistics: Of the shelves.
        held_out: Queries that the router will not be judged by.
        share: Of the vectors, 0 to 1.
        deltas: What is tried; of equals the first.
    """
    budget = share * int(statistics.count.sum())

    def found(delta: float) -> float:
        router = MomentsRouter(MomentsRouter.Options(delta=delta), statistics)
        order = opening_order(router.scores(held_out.queries))
        return float(found_share(order, statistics.count, held_out.shelves, [budget]).mean())

    return max(deltas, key=found)
