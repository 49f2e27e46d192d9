"""A search: route, read the best shelves within a budget, score their members, say what was read and what is certain.

The answer is *certified* when no unread text can be better than the k-th found: the bound of every shelf that was not
read whole (:mod:`unmask.roots.search.bounds`) lies below it, or below the least score that was asked for. With
``exact`` shelves are opened until that is so. All of it is about the vectors as the index keeps them.

Letters: Q queries, K shelves, D dimensions, k results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from unmask.errors import Error
from unmask.roots.index import Index
from unmask.roots.search.bounds import upper_bounds
from unmask.roots.search.budget import SHARE, Budget, by_default, upto
from unmask.roots.search.near import Own
from unmask.roots.search.scan import Best, scan
from unmask.roots.search.spread import Reading


@dataclass(frozen=True)
class Answers:
    """What queries found.

    Attributes:
        scores: Inner products, best first; ``-inf`` where there are fewer than k.
        members: Numbers of texts; -1 where there are fewer.
        read: Texts of each shelf that were read for each query.
        certified: Whether nothing better is left unread.
    """

    scores: Float32[np.ndarray, "Q k"]
    members: Int64[np.ndarray, "Q k"]
    read: Int64[np.ndarray, "Q K"]
    certified: Bool[np.ndarray, " Q"]


def search(
    index: Index,
    queries: Float32[np.ndarray, "Q D"],
    k: int,
    budget: Budget,
    *,
    least: float = -np.inf,
    router: Any = None,
    owns: Sequence[Own] | None = None,
    reading: Reading = scan,
) -> Answers:
    """Return the best texts of each query: as many as were asked for, wherever so many may be shown and were read.

    Without a bound, and with a recall, no fewer than k texts are read. A share, bytes or ``least`` may leave fewer than
    k results, and so may what a query must not find.

    Args:
        index: The index.
        queries: Vectors of length 1.
        k: How many texts; the last places are empty where the index holds fewer.
        budget: How far to read.
        least: Smallest inner product of an answer.
        router: A router over the index's core; default: the index's own.
        owns: What each query must not find.
        reading: Who reads; default: this process.

    Raises:
        Error: an impossible k or budget.
    """
    budget.check()
    if k < 1:
        raise Error(f"k is {k}; ask for at least 1.")
    router = index.router() if router is None else router
    sizes = index.sizes
    read = upto(router.scores(queries), sizes, _most(index, budget, router, k))
    bounds = upper_bounds(queries, index.core.statistics)
    best = Best.none(len(queries), k)
    if budget.exact:
        read[read < sizes] = 0  # whole shelves only: what is read in part is not certain
    reading(index.segments, index.firsts, queries, read, best, owns)
    while budget.exact:
        able = (read < sizes) & (bounds >= _needed(best, least))
        if not able.any():
            break
        order = np.argsort(np.where(able, -bounds, np.inf), axis=1, kind="stable")
        chosen = np.zeros_like(able)
        np.put_along_axis(chosen, order[:, : max(1, int(able.sum(1).max()) // 4)], True, axis=1)
        more = np.where(chosen & able, sizes, 0)
        reading(index.segments, index.firsts, queries, more, best, owns)
        read += more
    left = np.where(read < sizes, bounds, -np.inf).max(1, keepdims=True)
    certified = (left < _needed(best, least)) | np.isneginf(left)
    none = best.scores < least
    best.scores[none], best.members[none] = -np.inf, -1
    return Answers(best.scores, best.members, read, certified[:, 0])


def _needed(best: Best, least: float) -> Float32[np.ndarray, "Q 1"]:
    """Return the score below which a text cannot change the answer."""
    found: Float32[np.ndarray, "Q 1"] = np.maximum(best.scores[:, -1:], np.float32(least))
    return found


def _most(index: Index, budget: Budget, router: Any, k: int) -> int:
    """Return how many texts a budget reads for one query that wants k.

    Raises:
        Error: fewer bytes than a vector has, a dial of another router, or more texts than the dial was set for.
    """
    if budget.bytes is not None:
        if budget.bytes < index.row_bytes:
            raise Error(f"bytes is {budget.bytes}, and one vector has {index.row_bytes}; give more.")
        return min(budget.bytes // index.row_bytes, len(index))
    if budget.recall is not None:
        if router.name != index.manifest.router:
            raise Error(
                f"recall was set for the router {index.manifest.router!r}, not {router.name!r}; leave router out."
            )
        return max(k, index.dials.for_recall(k, budget.recall, sigmas=1.0))
    if budget.share is not None or budget.exact:  # an exact search begins with some, and reads on
        return max(1, int(np.ceil((budget.share or SHARE) * len(index))))
    return by_default(len(index), k)
