"""The contract of a router: a score for each query and shelf, from the shelves' statistics alone.

    order(q) = shelves by falling score(q, k)

Scores of a query depend neither on other queries nor on the vectors behind the shelves, so routing costs what the
router keeps in memory (``nbytes``) and no read. A router that learns is given lessons: queries, and the shelves where
their true nearest vectors lie. They must not be those that it is judged by.

Letters: Q queries, N vectors, K shelves, D dimensions, T true nearest of a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float32, Int64

from unmask.errors import Error
from unmask.roots.options import Options, validated
from unmask.roots.registry import ROUTERS as ROUTERS
from unmask.roots.shelves.statistics import ShelfStatistics

ROWS = 1024


class Lessons(NamedTuple):
    """What a router learns from.

    Attributes:
        queries: Vectors.
        shelves: Where the true nearest vectors of each lie, one entry a vector.
    """

    queries: Float32[np.ndarray, "Q D"]
    shelves: Int64[np.ndarray, "Q T"]


class Router(Protocol):
    """What every registered router does (see the contract tests, which run over the registry).

    Attributes:
        name: Its name.
        learns: Whether it has to be given lessons.
        options: Its settings.
        nbytes: Bytes that routing needs in memory, in float32.
    """

    name: ClassVar[str]
    learns: ClassVar[bool]
    options: Options

    @property
    def nbytes(self) -> int:
        """Bytes that routing needs in memory, in float32."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was learned, for a file; with it :func:`make_router` needs no lessons."""
        ...

    def scores(self, queries: Float32[np.ndarray, "Q D"]) -> Float32[np.ndarray, "Q K"]:
        """Return a score for each query and shelf; the highest is opened first, an empty shelf has -inf."""
        ...


def make_router(
    name: str,
    statistics: ShelfStatistics,
    options: Mapping[str, Any] | None = None,
    *,
    lessons: Lessons | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
) -> Any:
    """Return the router of a name.

    Args:
        name: See :data:`ROUTERS`.
        statistics: Of the shelves.
        options: Its settings; what is left out has its default.
        lessons: For a router that learns.
        arrays: What such a router learned before, instead of lessons.
        seed: Of learning.

    Raises:
        Error: unknown router or option, an impossible value, or lessons that are missing or for nothing.
    """
    part = ROUTERS.get(name)
    chosen = validated(part, "router", name, options)
    if not part.learns:
        if lessons is not None or arrays:
            raise Error(f"the router {name!r} learns nothing; leave lessons and arrays out.")
        return part(chosen, statistics)
    if (lessons is None) == (arrays is None):
        raise Error(f"the router {name!r} needs either lessons or what it learned from some before.")
    return part(chosen, statistics, arrays if lessons is None else part.learn(chosen, statistics, lessons, seed))


def true_nearest(
    queries: Float32[np.ndarray, "Q D"], vectors: Float32[np.ndarray, "N D"], top: int
) -> Int64[np.ndarray, "Q T"]:
    """Return the vectors with the largest inner products, best first, by comparing with all.

    Raises:
        Error: there are not so many.
    """
    if not 1 <= top <= len(vectors):
        raise Error(f"{len(vectors)} vectors do not have {top} nearest; ask for 1 to {len(vectors)}.")
    table = torch.from_numpy(np.ascontiguousarray(vectors.T))
    blocks = torch.from_numpy(np.ascontiguousarray(queries)).split(ROWS)
    return torch.cat([(block @ table).topk(top, 1).indices for block in blocks]).numpy()


def lessons(
    queries: Float32[np.ndarray, "Q D"],
    vectors: Float32[np.ndarray, "N D"],
    labels: Int64[np.ndarray, " N"],
    top: int = 10,
) -> Lessons:
    """Return the lessons of some queries: the shelves of their true nearest vectors."""
    return Lessons(np.asarray(queries, np.float32), labels[true_nearest(queries, vectors, top)])


def opening_order(scores: Float32[np.ndarray, "Q K"]) -> Int64[np.ndarray, "Q K"]:
    """Return the shelves of each query in the order in which they are opened; equal scores by number."""
    found: Int64[np.ndarray, "Q K"] = np.argsort(-scores, axis=1, kind="stable")
    return found
