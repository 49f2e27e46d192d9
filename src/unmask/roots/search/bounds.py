"""How good the best vector of an unopened shelf can be, and the search that knows when its answer is complete.

With t the angle between query and centroid, and the shelf's vectors at angles a to b from it, at lengths r to R:

    cos(q, x) <= c = cos( max(0, t - b, a - t) )         the triangle inequality of angles (Schubert 2021, 2107.04071)
    <q, x>    <= |q| c (R if c >= 0 else r)

which no vector exceeds, in any partition. A shelf whose bound lies below the k-th best score so far, or below the asked
threshold, need not be read; when all unread ones do, the answer is what reading everything would have given:
``complete``. Bounds are widened by what float32 may round, in the ranges and in the scores that they are compared with.

In many dimensions all angles to a centroid are alike and large, so that for the nearest ten of a text's vector next to
nothing is skipped; for near-duplicates and high thresholds much is (docs/studies/roots-routing.md).

Letters: Q queries, K shelves, D dimensions, n vectors of a shelf, T answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from unmask.errors import Error
from unmask.roots.shelves.statistics import ShelfStatistics

ROUNDING = 1e-6
"""By which a stored cosine or length may be off, relative; float32 files and float64 arrays both keep it."""

Read = Callable[[int], tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, "n D"]]]
"""Shelf -> the numbers of its vectors, and the vectors."""


class Found(NamedTuple):
    """The answer to one query.

    Attributes:
        points: Numbers of vectors, best first; equal scores by number.
        scores: Their inner products.
        opened: Shelves that were read, in order.
        scanned: Vectors that were read, copies included.
        complete: Whether it is certain that reading all shelves would have given the same.
    """

    points: Int64[np.ndarray, " T"]
    scores: Float32[np.ndarray, " T"]
    opened: list[int]
    scanned: int
    complete: bool


def upper_bounds(queries: Float[np.ndarray, "Q D"], statistics: ShelfStatistics) -> Float64[np.ndarray, "Q K"]:
    """Return a number that no inner product of the query with a vector of the shelf exceeds; -inf for empty shelves."""
    q, c = queries.astype(np.float64), statistics.centroids.astype(np.float64)
    length = np.linalg.norm(q, axis=1, keepdims=True)
    own = np.linalg.norm(c, axis=1)
    # A centroid of length 0 says nothing about angles: its cosines are all 0, here as in the ranges, so best is 1.
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.clip(np.nan_to_num(q @ c.T / (length * own)), -1, 1)
        empty = statistics.count == 0
        low, high = np.where(empty[:, None], 1.0, statistics.cosine).T
        far, near = np.arccos(np.clip(low - ROUNDING, -1, 1)), np.arccos(np.clip(high + ROUNDING, -1, 1))
        shortest, longest = np.where(empty[:, None], 0.0, statistics.norm).T
    angle = np.arccos(cosine)
    best = np.cos(np.maximum(0, np.maximum(angle - far, near - angle)))
    reach = np.where(best >= 0, longest * (1 + ROUNDING), shortest * (1 - ROUNDING))
    slack = ROUNDING + queries.shape[1] * 2.0**-23
    found: Float64[np.ndarray, "Q K"] = length * (best * reach + slack * longest)
    return np.where(empty, -np.inf, found)


def search(
    query: Float32[np.ndarray, " D"],
    read: Read,
    scores: Float[np.ndarray, " K"],
    bounds: Float64[np.ndarray, " K"],
    *,
    top: int | None = None,
    threshold: float | None = None,
    sizes: Int64[np.ndarray, " K"] | None = None,
    most: int | None = None,
) -> Found:
    """Open shelves by falling score, skip what the bounds rule out, and say whether the answer is complete.

    Args:
        query: Its vector.
        read: Returns what lies on a shelf.
        scores: Of a router.
        bounds: A row of :func:`upper_bounds`.
        top: How many of the best; ``None``: all above the threshold.
        threshold: Least inner product of an answer; ``None``: any.
        sizes: Vectors of each shelf; needed with ``most``.
        most: Vectors that may be read, except that the first shelf is read in any case; ``None``: until the answer is
            complete.

    Raises:
        Error: neither ``top`` nor ``threshold``, an impossible one, or ``most`` without ``sizes``.
    """
    if top is None and threshold is None:
        raise Error("a search needs how many answers (top) or how good they must be (threshold).")
    if top is not None and top < 1:
        raise Error(f"a search for the best {top} finds nothing; ask for at least 1.")
    if most is not None and sizes is None:
        raise Error("a search that may read only so many vectors needs the sizes of the shelves.")
    least = -np.inf if threshold is None else threshold
    points, found = np.zeros(0, np.int64), np.zeros(0, np.float32)
    opened: list[int] = []
    scanned, complete = 0, True
    for shelf in np.argsort(-scores, kind="stable").tolist():
        if not bounds[shelf] > -np.inf or bounds[shelf] < _needed(found, top, least):
            continue
        if most is not None and sizes is not None and opened and scanned + sizes[shelf] > most:
            complete = False
            break
        fresh, vectors = read(shelf)
        opened.append(shelf)
        scanned += len(fresh)
        points, found = _best(np.concatenate([points, fresh]), np.concatenate([found, vectors @ query]), top, least)
    if not complete:
        unread = np.ones(len(bounds), bool)
        unread[opened] = False
        complete = bool((bounds[unread] < _needed(found, top, least)).all())
    return Found(points, found, opened, scanned, complete)


def _needed(found: Float32[np.ndarray, " T"], top: int | None, least: float) -> float:
    """Return the score below which a vector cannot change the answer."""
    return max(least, float(found[top - 1])) if top is not None and len(found) >= top else least


def _best(
    points: Int64[np.ndarray, " n"], scores: Float32[np.ndarray, " n"], top: int | None, least: float
) -> tuple[Int64[np.ndarray, " T"], Float32[np.ndarray, " T"]]:
    points, first = np.unique(points, return_index=True)  # copies count once
    scores = scores[first]
    order = np.lexsort((points, -scores))
    order = order[scores[order] >= least][:top]
    return points[order], scores[order]
