"""A tree of principal axes: each group is cut across its direction of largest variance, at the quantile that balances.

The PCA tree of Verma, Kpotufe & Dasgupta 2009 (arXiv 1205.2609); with K a power of two the cut is at the median.

Letters: N vectors, K shelves, D dimensions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Int64
from pydantic import Field

from unmask.roots.options import Options
from unmask.roots.partition.halving import Split, halve, principal
from unmask.roots.partition.partitioner import ByCentroid, Partition, checked, finish


class PcaTree(ByCentroid):
    """Balanced hyperplanes; halves are rounded, so that a shelf may have one vector more than its share a level."""

    class Options(Options):
        """Settings."""

        iterations: int = Field(12, ge=1)
        """Of the power iteration."""

    name: ClassVar[str] = "pca_tree"

    def fit(self, vectors: Float32[np.ndarray, "N D"], shelves: int, seed: int = 0) -> Partition:
        """Return a partition.

        Raises:
            Error: no shelf, fewer vectors than shelves, or numbers that are not finite.
        """
        vectors = checked(vectors, shelves)

        def split(groups: list[Int64[np.ndarray, " n"]], shares: list[float]) -> list[Split]:
            parts = (vectors[group] for group in groups)
            scores = (part @ principal(part, self.options.iterations, seed) for part in parts)
            return [Split(score, round(share * len(score))) for score, share in zip(scores, shares, strict=True)]

        return finish(vectors, halve(len(vectors), shelves, split), shelves, seed)
