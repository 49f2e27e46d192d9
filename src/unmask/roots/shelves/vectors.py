"""How the members' vectors are kept: as 8-bit, 16-bit or 32-bit numbers.

int8 keeps round(v / s) with s = max |v| / 127 of each vector, one byte a number and four for s. All statistics and
bounds are taken of the vectors *as they are kept*, so what is certified is exact for what is searched; what keeping
them costs against float32 is measured (see docs/studies/roots.md), not assumed.

Letters: N texts, Q queries, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from unmask.errors import Error

KINDS = {"int8": np.int8, "float16": np.float16, "float32": np.float32}
_ROWS = 1024  # turned to float32 at once: they stay in the processor's cache


@dataclass(frozen=True)
class Vectors:
    """Vectors as they are kept.

    Attributes:
        values: The numbers.
        scales: s of each vector; 1 unless the numbers are int8.
    """

    values: Float[np.ndarray, "N D"]
    scales: Float32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def row_bytes(self) -> int:
        """Bytes of one vector, its scale included."""
        return int(self.values.itemsize * self.values.shape[1]) + (4 if self.values.dtype == np.int8 else 0)

    def floats(self, rows: slice | np.ndarray = slice(None)) -> Float32[np.ndarray, "n D"]:
        """Return vectors as float32."""
        found: Float32[np.ndarray, "n D"] = self.values[rows].astype(np.float32)
        return found * self.scales[rows, None] if self.values.dtype == np.int8 else found

    def dot(self, queries: Float32[np.ndarray, "Q D"], start: int, end: int) -> Float32[np.ndarray, "Q n"]:
        """Return the inner products of queries with the vectors from ``start`` to ``end``."""
        found = np.empty((len(queries), end - start), np.float32)
        for first in range(start, end, _ROWS):
            last = min(first + _ROWS, end)
            block = self.values[first:last].astype(np.float32, copy=False)
            np.matmul(queries, block.T, out=found[:, first - start : last - start])
        if self.values.dtype == np.int8:
            found *= self.scales[start:end]
        return found


def check_storage(storage: str) -> None:
    """Refuse what vectors cannot be kept as.

    Raises:
        Error: an unknown storage.
    """
    if storage not in KINDS:
        raise Error(f"storage is {storage!r}; choose {', '.join(KINDS)}.")


def keep(vectors: Float32[np.ndarray, "N D"], storage: str) -> Vectors:
    """Return vectors as they will be kept; ``storage`` is one of :data:`KINDS`."""
    if storage != "int8":
        return Vectors(vectors.astype(KINDS[storage]), np.ones(len(vectors), np.float32))
    scales = np.abs(vectors).max(1, initial=0).astype(np.float32) / 127
    scales = (scales.view(np.uint32) & np.uint32(0xFFFFFF00)).view(np.float32)  # 127 s is exact: keeping twice is once
    values = np.rint(vectors / np.maximum(scales, np.float32(1e-30))[:, None])
    return Vectors(values.astype(np.int8), scales)
