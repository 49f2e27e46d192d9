"""The contract of a codec: vectors as a few bytes each, and back; and what that costs a search.

    recall@k     share of a query's true nearest k that are among the k nearest after coding; the query is not coded
    distortion   mean of 1 - cos(x, decoded x)
    error        mean |x - decoded x|^2 / mean |x - mean|^2
    spread       mean |decoded - its mean|^2 / mean |x - mean|^2: 1 where decoded vectors vary as the true ones do

A mean given the code has error = 1 - spread; a draw given the code has spread 1 and twice that error.

Letters: N vectors, Q queries, D dimensions, m bytes of a code.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Float32, UInt8

from unmask.errors import Error
from unmask.roots.partition.partitioner import unit
from unmask.roots.route.router import true_nearest


class Codec(Protocol):
    """Anything fitted that codes vectors.

    Attributes:
        name: What a table calls it.
        bytes: m.
    """

    name: str

    @property
    def bytes(self) -> int:
        """m, of each vector; nothing else is kept of it."""
        ...

    @property
    def shared_bytes(self) -> int:
        """Bytes of what all vectors share: codebooks, networks."""
        ...

    def encode(self, vectors: Float32[np.ndarray, "N D"]) -> UInt8[np.ndarray, "N m"]:
        """Return the codes; each depends on its own vector alone."""
        ...

    def decode(self, codes: UInt8[np.ndarray, "N m"]) -> Float32[np.ndarray, "N D"]:
        """Return vectors; the same codes give the same vectors."""
        ...


class Cost(NamedTuple):
    """What coding does to a search; see above."""

    recall: float
    distortion: float
    error: float
    spread: float


def cost(
    vectors: Float32[np.ndarray, "N D"],
    decoded: Float32[np.ndarray, "N D"],
    queries: Float32[np.ndarray, "Q D"],
    top: int = 10,
) -> Cost:
    """Return what it costs to search decoded vectors instead of the true ones, by cosine.

    Args:
        vectors: The true ones.
        decoded: The same after coding; scaled to length 1 for the search.
        queries: As they are.
        top: k.
    """
    true, found = true_nearest(queries, unit(vectors), top), true_nearest(queries, unit(decoded), top)
    both = (true[:, :, None] == found[:, None, :]).any(-1).mean()
    close = (unit(vectors) * unit(decoded)).sum(1).mean()
    scale = np.square(vectors - vectors.mean(0)).sum(1).mean()
    error = np.square(vectors - decoded).sum(1).mean() / scale
    spread = np.square(decoded - decoded.mean(0)).sum(1).mean() / scale
    return Cost(float(both), float(1 - close), float(error), float(spread))


def check(vectors: Float[np.ndarray, "N D"], least: int, what: str) -> Float32[np.ndarray, "N D"]:
    """Return vectors to learn from as contiguous float32.

    Raises:
        Error: not a table of finite numbers, or fewer than ``least`` rows.
    """
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise Error(f"{what} needs finite vectors [N, D], not {list(vectors.shape)}.")
    if len(vectors) < least:
        raise Error(f"{what} needs at least {least} vectors to learn from, not {len(vectors)}.")
    return np.ascontiguousarray(vectors, np.float32)
