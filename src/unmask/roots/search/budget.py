"""How far a search goes: which shelves are opened, best first.

Shelves are opened in the router's order and read in theirs; where the budget ends, the rest of a shelf is left. So a
budget is kept to the text, what a larger one reads includes what a smaller one does, and recall never falls.

Letters: Q queries, K shelves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from unmask.errors import Error, nearest

SHARE = 0.1
"""Share of the texts whose shelves are opened by default."""
WHOLE = 1024
"""... but no fewer texts than these: of a small index all are read, which costs nothing."""

RERANKS = ("surprisal", "energy", "bm25")
"""What the candidates of a search are ordered by again (:mod:`unmask.roots.rerank.rerank`)."""


@dataclass(frozen=True)
class Budget:
    """One bound, or none: then :data:`SHARE` of the texts, and no fewer than :data:`WHOLE` or k.

    Attributes:
        share: Of the texts, above 0 up to 1.
        bytes: Of members' vectors.
        recall: Share of the true best that shall be found, above 0 and below 1; see the index's calibration.
        exact: Open shelves until nothing better can be on the others.
    """

    share: float | None = None
    bytes: int | None = None
    recall: float | None = None
    exact: bool = False

    def check(self) -> None:
        """Refuse what cannot be kept.

        Raises:
            Error: two bounds, or one out of range.
        """
        given = [self.share is not None, self.bytes is not None, self.recall is not None, self.exact]
        if sum(given) > 1:
            raise Error("give one of open, bytes, recall and exact; they bound the same thing.")
        if self.share is not None and not 0 < self.share <= 1:
            raise Error(f"open is {self.share}; give a share of the texts above 0 and at most 1.")
        if self.bytes is not None and self.bytes < 1:
            raise Error(f"bytes is {self.bytes}; give at least 1.")
        if self.recall is not None and not 0 < self.recall < 1:
            raise Error(f"recall is {self.recall}; give a share above 0 and below 1, or ask for exact.")


def by_default(texts: int, k: int) -> int:
    """Return how many texts are read for one query where no bound was given.

    Args:
        texts: Of the index.
        k: Texts that are asked for.
    """
    return min(texts, max(math.ceil(SHARE * texts), WHOLE, k))


def upto(scores: Float[np.ndarray, "Q K"], sizes: Int64[np.ndarray, " K"], most: int) -> Int64[np.ndarray, "Q K"]:
    """Return how many texts of each shelf are read for each query: shelf by shelf, ``most`` in all, the last in part.

    Args:
        scores: Of the router; the greatest is opened first.
        sizes: Texts on each shelf.
        most: Texts that are read for one query.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    own = sizes[order]
    read = np.clip(most - (np.cumsum(own, axis=1) - own), 0, own)
    found = np.zeros(scores.shape, np.int64)
    np.put_along_axis(found, order, read, axis=1)
    return found


def candidates(name: str | None, count: int | None, k: int, exact: bool) -> int:
    """Return how many texts to find for k results: k, or the candidates of a new order, max(50, 5 k) by default.

    Args:
        name: One of :data:`RERANKS`; ``None``: the order stays.
        count: How many were asked for.
        k: How many results.
        exact: Whether the best k are to be certain.

    Raises:
        Error: an unknown name, fewer candidates than results, or what does not go together.
    """
    if name is None:
        if count is not None:
            raise Error(f"rerank_of {count} needs rerank {' | '.join(RERANKS)}; without it the order stays.")
        return k
    if name not in RERANKS:
        raise Error(f"unknown rerank {name!r}.{nearest(name, RERANKS)} Available: {', '.join(sorted(RERANKS))}.")
    if k < 1:
        raise Error(f"k is {k}; ask for at least 1.")
    if exact:
        raise Error("exact makes the order by meaning certain, and rerank changes it; leave one of them out.")
    if count is not None and count < k:
        raise Error(f"rerank_of is {count}, fewer than the k = {k} texts asked for; give {k} or more.")
    return max(50, 5 * k) if count is None else count
