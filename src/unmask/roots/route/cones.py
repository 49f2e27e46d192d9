"""Multi-cone navigation: a query with several meanings spends its budget on several directions, not on the first alone.

    facets    the shelves j whose means the query meets best, no two of them within ``apart`` of each other
    axis      u_j = q / |q| + mu_j / |mu_j|, scaled to length 1
    aperture  widening x (the shelf's own root mean squared angle): wide where the shelf is spread
    strength  w_j = softmax_j( cos(q, mu_j) / heat )
    budget    w_j x ``budget`` bytes: the cone opens shelves by their angle to its axis, while they lie in its aperture
              and fit in what is left
    merge     what any cone opens comes first, by energy -<q, mu_k>; the rest after it, by the same energy

The idea is that of ROOTS's navigator, mended (docs/origins.md). ``navigate`` takes the facets of a query (its
sentences, say) as vectors of their own, with a strength of each.

Letters: Q queries, K shelves, D dimensions, F facets.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float32, Int64
from pydantic import Field

from unmask.roots.options import Options
from unmask.roots.partition.partitioner import unit
from unmask.roots.shelves.statistics import ShelfStatistics


class ConeRouter:
    """Several cones a query."""

    class Options(Options):
        """Settings."""

        cones: int = Field(4, ge=1)
        """F, at most. One cone is the centroid router among the shelves that it opens."""
        budget: float = Field(0.1, gt=0, le=1)
        """Share of all bytes that the cones may open together."""
        apart: float = Field(0.5, ge=0)
        """Least angle between two facets, in radians."""
        widening: float = Field(2.0, gt=0)
        """Aperture, as a multiple of the angle that a shelf's vectors are spread over."""
        heat: float = Field(0.1, gt=0)
        """Temperature of the strengths, in units of a cosine; a low one gives all to the best facet."""

    name: ClassVar[str] = "cones"
    learns: ClassVar[bool] = False

    def __init__(self, options: Options, statistics: ShelfStatistics) -> None:
        self.options = options
        self._mean, self._empty = statistics.mean, statistics.count == 0
        self._direction = unit(self._mean)
        self._bytes = statistics.count * statistics.mean.shape[1] * 4
        # tr S / sum |x|^2 is the share of the squares that is spread: sin^2 of the root mean squared angle.
        spread = statistics.trace / np.maximum(statistics.squares, 1e-20)
        self._angle = np.arcsin(np.sqrt(np.clip(spread, 0, 1)))

    @property
    def nbytes(self) -> int:
        """Means, spreads and sizes."""
        return self._mean.nbytes + 8 * len(self._mean)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return nothing: it learns nothing."""
        return {}

    def scores(self, queries: Float32[np.ndarray, "Q D"]) -> Float32[np.ndarray, "Q K"]:
        """Return -energy, raised for the shelves that a cone opens."""
        found = np.empty((len(queries), len(self._mean)), np.float32)
        for row, (query, direction) in enumerate(zip(queries, unit(queries), strict=True)):
            cosine = self._direction @ direction
            facets = self._facets(cosine)
            weight = np.exp((cosine[facets] - cosine[facets].max()) / self.options.heat)
            axes = unit(direction + self._direction[facets])
            opened = self._opened(axes, weight / weight.sum(), self.options.widening * self._angle[facets])
            found[row] = self._merged(self._mean @ query, opened)
        return found

    def navigate(
        self, facets: Float32[np.ndarray, "F D"], strength: Float[np.ndarray, " F"]
    ) -> Float32[np.ndarray, " K"]:
        """Return one query's scores from facets of its own, such as the vectors of its sentences.

        Args:
            facets: Directions.
            strength: Of each, positive; budgets are proportional to it. A shelf's energy is that of its best facet.
        """
        axes = unit(facets)
        at = (axes @ self._direction.T).argmax(1)
        opened = self._opened(axes, strength / strength.sum(), self.options.widening * self._angle[at])
        return self._merged((facets @ self._mean.T).max(0), opened)

    def _facets(self, cosine: Float32[np.ndarray, " K"]) -> Int64[np.ndarray, " F"]:
        chosen: list[int] = []
        for k in np.argsort(-np.where(self._empty, -np.inf, cosine), kind="stable")[: 8 * self.options.cones].tolist():
            if not chosen or (self._direction[chosen] @ self._direction[k]).max() <= np.cos(self.options.apart):
                chosen.append(k)
            if len(chosen) == self.options.cones:
                break
        return np.array(chosen)

    def _opened(
        self,
        axes: Float32[np.ndarray, "F D"],
        share: Float[np.ndarray, " F"],
        aperture: Float[np.ndarray, " F"],
    ) -> Int64[np.ndarray, " n"]:
        opened: set[int] = set()
        for axis, part, wide in zip(axes @ self._direction.T, share, aperture, strict=True):
            left = part * self.options.budget * self._bytes.sum()
            for k in np.argsort(-axis, kind="stable").tolist():
                if axis[k] < np.cos(min(wide, np.pi)) or self._bytes[k] > left:
                    break
                if k not in opened:
                    opened.add(k)
                    left -= self._bytes[k]
        return np.array(sorted(opened), np.int64)

    def _merged(self, score: Float32[np.ndarray, " K"], opened: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, " K"]:
        raised = score.copy()
        raised[opened] += np.ptp(score) + 1
        return np.where(self._empty, np.float32(-np.inf), raised)
