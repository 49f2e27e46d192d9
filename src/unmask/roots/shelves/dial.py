"""The dial: how many vectors to scan for a recall, or what recall a budget of bytes buys, told by held-out queries.

    share found(q, b) = share of q's true nearest that lie in the first b vectors of its opening order

A shelf that the budget cuts counts by the part of it that is read. Each query's share never falls as b grows, so the
mean over held-out queries is a rising curve, and the dial reads it both ways. ``Dial.for_recall`` goes up to the next
point where the lower end of the mean's interval (``sigmas`` standard errors) reaches what was asked for.

The k nearest of a query lie on more shelves the larger k is, so a curve holds for its own k: an index has one for each
of :data:`KS`. Between two of them the more cautious is taken.

Letters: Q queries, K shelves, T true nearest of a query, P points of the curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from unmask.errors import Error

NEAREST = 10
"""The k that a search has by default."""
KS = (1, NEAREST, 50, 200)
"""The k that curves are set for; a small index has those that are at most half its texts."""


def found_share(
    order: Int64[np.ndarray, "Q K"],
    sizes: Int64[np.ndarray, " K"],
    truth: Int64[np.ndarray, "Q T"],
    budgets: Sequence[float],
    second: Int64[np.ndarray, "Q T"] | None = None,
) -> Float64[np.ndarray, "Q P"]:
    """Return the share of each query's true nearest that each budget finds.

    Args:
        order: Shelves as they are opened.
        sizes: Vectors of each shelf, copies included.
        truth: The shelf of each true nearest vector.
        budgets: Vectors that are scanned, any numbers.
        second: The second shelf of each where it is spilled, else -1.
    """
    opened = sizes[order]
    before = opened.cumsum(1) - opened
    found = np.empty((len(order), len(budgets)))
    read = np.empty(order.shape)
    for column, budget in enumerate(budgets):
        part = np.clip((budget - before) / np.maximum(opened, 1), 0, 1)
        np.put_along_axis(read, order, part, 1)
        share = np.take_along_axis(read, truth, 1)
        if second is not None:
            other = np.take_along_axis(read, np.maximum(second, 0), 1)
            share = np.maximum(share, np.where(second >= 0, other, 0))
        found[:, column] = share.mean(1)
    return found


@dataclass(frozen=True)
class Dial:
    """A rising curve of recall over vectors scanned.

    Attributes:
        points: Vectors scanned, rising from 0 to all.
        recall: Mean over the held-out queries.
        error: Standard error of each mean.
        shelves: Mean number of shelves opened, the last one perhaps in part.
        vector_bytes: Bytes that reading one vector costs.
    """

    points: Int64[np.ndarray, " P"]
    recall: Float64[np.ndarray, " P"]
    error: Float64[np.ndarray, " P"]
    shelves: Float64[np.ndarray, " P"]
    vector_bytes: float

    def for_recall(self, target: float, sigmas: float = 0.0) -> int:
        """Return the least number of vectors on the curve whose recall, less ``sigmas`` errors, is the target or more.

        Raises:
            Error: the target is not from 0 to 1.
        """
        if not 0 <= target <= 1:
            raise Error(f"a target recall lies between 0 and 1, not {target}.")
        sure = self.recall - sigmas * self.error
        enough = np.flatnonzero(sure >= target - 1e-12)
        return int(self.points[enough[0]] if len(enough) else self.points[-1])

    def recall_at(self, points: float) -> float:
        """Return the recall to expect when ``points`` vectors are scanned, between points of the curve on a line."""
        return float(np.interp(points, self.points, self.recall))

    def shelves_at(self, points: float) -> float:
        """Return the mean number of shelves that are opened for ``points`` vectors."""
        return float(np.interp(points, self.points, self.shelves))


@dataclass(frozen=True)
class Dials:
    """A dial for each of some k.

    Attributes:
        curves: By k.
    """

    curves: Mapping[int, Dial]

    def for_recall(self, k: int, target: float, sigmas: float = 0.0) -> int:
        """Return how many vectors to scan so that the target's share of the k nearest is found.

        Args:
            k: How many nearest. Between two curves the one that asks for more decides. An index of at most twice the
                largest of :data:`KS` has no curve for the k that are more than half of it: all is scanned.
            target: Recall, from 0 to 1.
            sigmas: Standard errors of caution.

        Raises:
            Error: the target is not from 0 to 1, or k is above those of all curves.
        """
        most = max(self.curves)
        if k > most:
            total = int(self.curves[most].points[-1])
            if total <= 2 * KS[-1]:
                return total
            again = " (written before there were more: unmask index merge DIR --output NEW)" if most < KS[-1] else ""
            raise Error(
                f"the dial of the index was set for up to {most} texts{again}, and k is {k}; bound the search by "
                "open or bytes, or ask for exact."
            )
        ends = max(n for n in self.curves if n <= max(k, min(self.curves))), min(n for n in self.curves if n >= k)
        return max(self.curves[n].for_recall(target, sigmas) for n in ends)


def calibrate(
    order: Int64[np.ndarray, "Q K"],
    sizes: Int64[np.ndarray, " K"],
    truth: Int64[np.ndarray, "Q T"],
    *,
    vector_bytes: float,
    second: Int64[np.ndarray, "Q T"] | None = None,
    steps: int = 100,
) -> Dial:
    """Return the dial of held-out queries.

    Args:
        order: Shelves as the router opens them for each query.
        sizes: Vectors of each shelf, copies included.
        truth: The shelf of each true nearest vector of each query.
        vector_bytes: Bytes that reading one vector costs.
        second: The second shelf of each where it is spilled, else -1.
        steps: Points of the curve besides 0; closer together at its beginning.

    Raises:
        Error: there is no query or no vector.
    """
    total = int(sizes.sum())
    if not len(order) or not total:
        raise Error("a dial is told by queries about vectors; give at least one of each.")
    points = np.unique(np.ceil(total * np.linspace(0, 1, steps + 1) ** 2).astype(np.int64))
    share = found_share(order, sizes, truth, points.tolist(), second)
    upto = sizes[order].cumsum(1)
    shelves = np.array([(upto - sizes[order] < budget).sum(1).mean() for budget in points])
    error = share.std(0) / np.sqrt(len(share))
    return Dial(points, share.mean(0), error, shelves, vector_bytes)
