"""A partition as the first byte of a code: the shelf that a vector lies on, then what its centroid leaves.

    code = [shelf, code of x - c_shelf],        decoded = c_shelf + decoded residual

So the shelves of an index are a codebook (VQ), routing to a shelf is choosing a code word, and a text on a known shelf
needs m - 1 bytes more: the first one is where it lies (residual coding in inverted files: Jegou et al. 2011).

Letters: N vectors, K shelves, D dimensions, m bytes of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from benchmarks.studies.codes.codec import Codec, check
from unmask.errors import Error
from unmask.roots.partition import Partition, make_partitioner


@dataclass(frozen=True)
class ShelfCodec:
    """A fitted codec.

    Attributes:
        partition: Of the vectors it learned from.
        partitioner: Says where later vectors go.
        rest: Codec of the residuals; ``None``: the shelf is all.
    """

    partition: Partition
    partitioner: Any
    rest: Codec | None

    @property
    def name(self) -> str:
        """What a table calls it."""
        return "shelf alone" if self.rest is None else f"shelf + {self.rest.name} of the residual"

    @property
    def bytes(self) -> int:
        """One for the shelf, and those of the residual."""
        return 1 + (0 if self.rest is None else self.rest.bytes)

    @property
    def shared_bytes(self) -> int:
        """Centroids and offsets, and what the residual's codec shares."""
        own = self.partition.centroids.nbytes + self.partition.offsets.nbytes
        return own + (0 if self.rest is None else self.rest.shared_bytes)

    def encode(self, vectors: Float32[np.ndarray, "N D"]) -> UInt8[np.ndarray, "N m"]:
        """Return the codes; the first byte is the shelf."""
        shelf = self.partitioner.assign(self.partition, vectors)
        first: UInt8[np.ndarray, "N 1"] = shelf[:, None].astype(np.uint8)
        if self.rest is None:
            return first
        return np.concatenate([first, self.rest.encode(vectors - self.partition.centroids[shelf])], 1)

    def decode(self, codes: UInt8[np.ndarray, "N m"]) -> Float32[np.ndarray, "N D"]:
        """Return the vectors."""
        found: Float32[np.ndarray, "N D"] = self.partition.centroids[codes[:, 0]]
        return found if self.rest is None else found + self.rest.decode(np.ascontiguousarray(codes[:, 1:]))


def fit_shelves(
    vectors: Float32[np.ndarray, "N D"],
    rest: Callable[[Float32[np.ndarray, "N D"]], Codec] | None,
    *,
    partitioner: str = "kmeans",
    shelves: int = 256,
    seed: int = 0,
) -> ShelfCodec:
    """Fit a codec.

    Args:
        vectors: To learn from.
        rest: Fits a codec to residuals; ``None``: the shelf is all.
        partitioner: Name of a partitioner.
        shelves: K, at most 256.
        seed: Of the partition.

    Raises:
        Error: more shelves than a byte can name, or than vectors.
    """
    if not 1 <= shelves <= 256:
        raise Error(f"one byte names 1 to 256 shelves, not {shelves}.")
    x = check(vectors, shelves, "a codebook of shelves")
    part = make_partitioner(partitioner)
    partition = part.fit(x, shelves, seed)
    residuals = x - partition.centroids[part.assign(partition, x)]
    return ShelfCodec(partition, part, None if rest is None else rest(residuals))
