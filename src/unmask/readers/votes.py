"""Votes of people: how often one side was preferred, whether that may be chance, and whether readers agree.

* The interval of a rate is that of Clopper and Pearson (1934), the inversion of the exact binomial test: it leaves out
  1/2 exactly when the two-sided sign test has p < 0.05.
* Agreement is Krippendorff's alpha for nominal answers (Krippendorff 2011, "Computing Krippendorff's
  Alpha-Reliability"): 1 is full agreement, 0 is what chance gives.

Letters: U units (pairs of texts), R raters, C kinds of answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest


@dataclass(frozen=True)
class Rate:
    """How often something happened.

    Attributes:
        count: How often.
        of: Of how many.
        rate: Their ratio; ``None`` of nothing.
        interval: 95 % interval of Clopper and Pearson; of nothing, 0 to 1.
        p_value: Two-sided sign test against 1/2; 1 of nothing.
    """

    count: int
    of: int
    rate: float | None
    interval: tuple[float, float]
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 1/2."""
        return not self.interval[0] <= 0.5 <= self.interval[1]


def rate(count: int, of: int) -> Rate:
    """Return the rate of ``count`` out of ``of``, with its interval and sign test."""
    if of == 0:
        return Rate(count, of, None, (0.0, 1.0), 1.0)
    test = binomtest(count, of)
    low, high = test.proportion_ci(0.95, method="exact")
    return Rate(count, of, count / of, (float(low), float(high)), float(test.pvalue))


def agreement(answers: NDArray[np.int64], kinds: int) -> tuple[float | None, float | None]:
    """Return how often two raters agree, and Krippendorff's alpha.

    Args:
        answers: Kind of each answer [R, U], 0 .. C-1; below 0 where a rater gave none.
        kinds: C.

    Returns:
        Share of agreeing pairs of answers, and alpha. Both ``None`` if no unit has two answers; alpha also if only one
        kind of answer was ever given, which says nothing about agreement.
    """
    counts = (answers[:, :, None] == np.arange(kinds)).sum(0).astype(float)  # [U, C]
    counts = counts[counts.sum(1) >= 2]
    if not len(counts):
        return None, None
    each = counts.sum(1)
    within = (counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(kinds)) / (each - 1)[:, None, None]
    coincidence = within.sum(0)  # [C, C]
    total, by_kind = coincidence.sum(), coincidence.sum(1)
    share = float((counts * (counts - 1)).sum() / (each * (each - 1)).sum())
    expected = total**2 - (by_kind**2).sum()
    if expected == 0:
        return share, None
    return share, float(1 - (total - 1) * (total - np.trace(coincidence)) / expected)
