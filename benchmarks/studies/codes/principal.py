"""Codes from principal axes: 8 bits of each of m, or the sign of each of 8 m.

    z = V^T (x - mean)
    int8     one byte an axis: 255 equal steps over the range -4 .. 4 deviations of that axis
    signs    one bit an axis, after a random rotation that spreads the variance over the bits evenly (the rotation of
             RaBitQ, Gao & Long 2024, arXiv 2405.12497; of ITQ before it is trained, Gong & Lazebnik 2011)

A sign decodes to plus or minus E|z| of its axis: the mean of that half. RaBitQ keeps a factor of each vector besides;
here nothing but the code is kept, so that all codecs have the same bytes.

Letters: N vectors, D dimensions, A axes, m bytes of a code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from benchmarks.studies.codes.codec import check
from unmask.errors import Error

_RANGE = 4.0


@dataclass(frozen=True)
class PrincipalCodec:
    """A fitted codec.

    Attributes:
        name: ``PCA + int8`` or ``PCA + signs``.
        mean: Of the vectors it learned from.
        axes: Orthonormal columns.
        scale: Of each axis: its deviation (int8), or the mean of |z| (signs).
        signs: One bit an axis.
    """

    name: str
    mean: Float32[np.ndarray, " D"]
    axes: Float32[np.ndarray, "D A"]
    scale: Float32[np.ndarray, " A"]
    signs: bool

    @property
    def bytes(self) -> int:
        """Bytes of a code."""
        return len(self.scale) // 8 if self.signs else len(self.scale)

    @property
    def shared_bytes(self) -> int:
        """Mean, axes, scales."""
        return self.mean.nbytes + self.axes.nbytes + self.scale.nbytes

    def encode(self, vectors: Float32[np.ndarray, "N D"]) -> UInt8[np.ndarray, "N m"]:
        """Return the codes."""
        z = (vectors - self.mean) @ self.axes
        if self.signs:
            return np.packbits(z > 0, axis=1)
        steps: UInt8[np.ndarray, "N m"] = np.rint((z / self.scale / _RANGE).clip(-1, 1) * 127 + 127).astype(np.uint8)
        return steps

    def decode(self, codes: UInt8[np.ndarray, "N m"]) -> Float32[np.ndarray, "N D"]:
        """Return the vectors."""
        if self.signs:
            z = 2.0 * np.unpackbits(codes, axis=1) - 1
        else:
            z = (codes.astype(np.float64) - 127) / 127 * _RANGE
        found: Float32[np.ndarray, "N D"] = self.mean + (z.astype(np.float32) * self.scale) @ self.axes.T
        return found


def fit_principal(
    vectors: Float32[np.ndarray, "N D"], bytes: int, kind: Literal["int8", "signs"], seed: int = 0
) -> PrincipalCodec:
    """Fit a codec.

    Args:
        vectors: To learn from.
        bytes: Of a code.
        kind: ``int8`` or ``signs``.
        seed: Of the rotation; int8 has none.

    Raises:
        Error: more axes than dimensions, or fewer vectors than axes.
    """
    count = 8 * bytes if kind == "signs" else bytes
    if not 1 <= count <= vectors.shape[-1]:
        raise Error(f"{bytes} bytes ({kind}) need {count} axes; vectors of width {vectors.shape[-1]} have fewer.")
    x = check(vectors, count + 1, "a codec of principal axes")
    mean = x.mean(0)
    axes = principal_axes(x - mean)[:, :count]
    if kind == "signs":
        turn = np.linalg.qr(np.random.default_rng([seed, 11]).standard_normal((count, count)))[0]
        axes = (axes @ turn).astype(np.float32)
    z = (x - mean) @ axes
    scale = np.abs(z).mean(0) if kind == "signs" else z.std(0)
    return PrincipalCodec(f"PCA + {kind}", mean, axes, np.maximum(scale, 1e-12).astype(np.float32), kind == "signs")


def principal_axes(centred: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "D D"]:
    """Return the eigenvectors of the scatter as columns, the largest first."""
    _, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    return np.ascontiguousarray(vectors[:, ::-1].astype(np.float32))
