"""Product quantisation: a vector cut into m pieces, each replaced by the nearest of 256 centroids (Jegou et al. 2011).

    x' = R (x - mean),   code_j = argmin_k |x'_j - c_jk|^2,   decoded = mean + R^T [c_1,code_1 .. c_m,code_m]

Where m does not divide D, the first pieces are one number longer. R is the identity, or the rotation that gives the
pieces equal shares of the variance: principal axes, dealt to the piece whose product of eigenvalues is least so far
(parametric OPQ: Ge et al. 2013). Embeddings that can be cut short have most of their variance in front, so without R
the first pieces bear most of the error.

Letters: N vectors, D dimensions, m pieces and bytes, S numbers of a piece, K = 256 centroids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from benchmarks.studies.codes.codec import check
from benchmarks.studies.codes.principal import principal_axes
from unmask.errors import Error
from unmask.roots.partition import make_partitioner
from unmask.roots.partition.kmeans import served

CENTROIDS = 256


@dataclass(frozen=True)
class ProductCodec:
    """A fitted quantiser.

    Attributes:
        name: ``PQ``, or ``PQ, balanced`` with the rotation.
        mean: Of the vectors it learned from.
        rotation: R.
        centroids: Of each piece.
    """

    name: str
    mean: Float32[np.ndarray, " D"]
    rotation: Float32[np.ndarray, "D D"]
    centroids: tuple[Float32[np.ndarray, "256 S"], ...]

    @property
    def bytes(self) -> int:
        """Of a code: m."""
        return len(self.centroids)

    @property
    def shared_bytes(self) -> int:
        """Mean, rotation if there is one, centroids."""
        turned = self.rotation.nbytes if self.name != "PQ" else 0
        return self.mean.nbytes + turned + sum(own.nbytes for own in self.centroids)

    def encode(self, vectors: Float32[np.ndarray, "N D"]) -> UInt8[np.ndarray, "N m"]:
        """Return the codes."""
        parts = np.array_split((vectors - self.mean) @ self.rotation.T, self.bytes, 1)
        labels = [served(part, own)[0] for part, own in zip(parts, self.centroids, strict=True)]
        return np.stack(labels, 1).astype(np.uint8)

    def decode(self, codes: UInt8[np.ndarray, "N m"]) -> Float32[np.ndarray, "N D"]:
        """Return the vectors."""
        found: Float32[np.ndarray, "N D"] = self.mean + self._pieces(codes) @ self.rotation
        return found

    def _pieces(self, codes: UInt8[np.ndarray, "N m"]) -> Float32[np.ndarray, "N D"]:
        return np.concatenate([own[code] for own, code in zip(self.centroids, codes.T, strict=True)], 1)


def fit_product(
    vectors: Float32[np.ndarray, "N D"], bytes: int, *, balanced: bool = True, seed: int = 0
) -> ProductCodec:
    """Fit a quantiser.

    Args:
        vectors: To learn from.
        bytes: m, at most D.
        balanced: Rotate so that the pieces have equal shares of the variance.
        seed: Of k-means.

    Raises:
        Error: more pieces than dimensions, or fewer than 256 vectors.
    """
    width = vectors.shape[-1]
    if not 1 <= bytes <= width:
        raise Error(f"vectors of width {width} cannot be cut into {bytes} pieces; choose 1 to {width}.")
    x = check(vectors, CENTROIDS, "product quantisation")
    mean = x.mean(0)
    rotation = balanced_rotation(x - mean, bytes) if balanced else np.eye(width, dtype=np.float32)
    kmeans = make_partitioner("kmeans", {"iterations": 20, "points_per_shelf": 64})
    parts = np.array_split((x - mean) @ rotation.T, bytes, 1)
    found = [kmeans.fit(part, CENTROIDS, seed + place).centroids for place, part in enumerate(parts)]
    return ProductCodec("PQ, balanced" if balanced else "PQ", mean, rotation, tuple(found))


def balanced_rotation(centred: Float32[np.ndarray, "N D"], pieces: int) -> Float32[np.ndarray, "D D"]:
    """Return R: rows are principal axes, those of one piece next to each other."""
    axes = principal_axes(centred)
    variance = np.maximum(np.square(centred @ axes).mean(0), 1e-12)
    room = [len(part) for part in np.array_split(np.arange(len(axes)), pieces)]
    dealt: list[list[int]] = [[] for _ in range(pieces)]
    for axis in range(len(axes)):
        free = [piece for piece in range(pieces) if len(dealt[piece]) < room[piece]]
        least = min(free, key=lambda piece: (np.log(variance[dealt[piece]] / variance[-1]).sum(), len(dealt[piece])))
        dealt[least].append(axis)
    return np.ascontiguousarray(axes[:, np.concatenate(dealt)].T)
