"""Shelves by chance: the control. What a router gains here it does not owe to the partition.

Fitted vectors are dealt out like cards, so sizes differ by one at most. A vector that comes later goes where a hash of
its numbers and the seed says.

Letters: N vectors, K shelves, D dimensions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Int64

from unmask.roots.options import Options
from unmask.roots.partition.partitioner import Partition, checked, finish


class Chance:
    """A partition that knows nothing of the vectors."""

    class Options(Options):
        """None."""

    name: ClassVar[str] = "random"

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def cap(self) -> float | None:
        """Sizes differ by one at most."""
        return 1.0

    def fit(self, vectors: Float32[np.ndarray, "N D"], shelves: int, seed: int = 0) -> Partition:
        """Return a partition.

        Raises:
            Error: no shelf, fewer vectors than shelves, or numbers that are not finite.
        """
        vectors = checked(vectors, shelves)
        dealt = np.random.default_rng(seed).permutation(len(vectors)) % shelves
        return finish(vectors, dealt, shelves, seed)

    def assign(self, partition: Partition, vectors: Float32[np.ndarray, "N D"]) -> Int64[np.ndarray, " N"]:
        """Return a shelf by a hash of each vector (multiply and shift, Dietzfelbinger et al. 1997)."""
        bits = np.ascontiguousarray(vectors, np.float32).view(np.uint32).astype(np.uint64)
        factors = np.random.default_rng([partition.seed, 2]).integers(0, 1 << 64, vectors.shape[1], np.uint64)
        mixed = (bits * factors).sum(1, dtype=np.uint64) >> np.uint64(32)
        found: Int64[np.ndarray, " N"] = (mixed * np.uint64(partition.shelves) >> np.uint64(32)).astype(np.int64)
        return found
