"""Route by the mean of a shelf: score = <q, mu_k>, as inverted files (IVF) do.

Letters: Q queries, K shelves, D dimensions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from unmask.roots.options import Options
from unmask.roots.shelves.statistics import ShelfStatistics


class CentroidRouter:
    """The inner product with the mean."""

    class Options(Options):
        """None."""

    name: ClassVar[str] = "centroid"
    learns: ClassVar[bool] = False

    def __init__(self, options: Options, statistics: ShelfStatistics) -> None:
        self.options = options
        self._mean, self._empty = statistics.mean, statistics.count == 0

    @property
    def nbytes(self) -> int:
        """The means."""
        return self._mean.nbytes

    def arrays(self) -> dict[str, np.ndarray]:
        """Return nothing: it learns nothing."""
        return {}

    def scores(self, queries: Float32[np.ndarray, "Q D"]) -> Float32[np.ndarray, "Q K"]:
        """Return <q, mu>."""
        return np.where(self._empty, np.float32(-np.inf), queries @ self._mean.T)
