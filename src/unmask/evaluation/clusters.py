"""Intervals for measures over positions: the chance is which documents were held out, so documents count whole.

Positions of one document are not independent. So any measure that is a ratio of sums over positions is computed from
the sums of each document, and its interval is over documents (see ``intervals``).

Letters: n positions, N documents, K sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unmask.evaluation.intervals import Interval, Reals, ratio_interval, share_interval


def document_sums(document: NDArray[np.integer], documents: int, *columns: NDArray[np.generic]) -> Reals:
    """Return the sums of values over the positions of each document, and how many positions it has.

    Args:
        document: Document of each position [n].
        documents: Number of documents (N).
        *columns: Values of each position, [n] each.

    Returns:
        [N, K + 1]: the sum of each column, then the number of positions. Documents without positions are left out.
    """
    sums = [np.bincount(document, column, minlength=documents) for column in columns]
    count = np.bincount(document, minlength=documents)
    return np.stack([*sums, count], axis=1)[count > 0].astype(np.float64)


def mean_interval(
    document: NDArray[np.integer], documents: int, values: NDArray[np.generic], *, share: bool = False
) -> Interval | None:
    """Return the 95 % interval of the mean of values over positions.

    Args:
        document: Document of each position [n].
        documents: Number of documents (N).
        values: Values [n].
        share: The values are yes or no, 1 or 0: the interval stays within 0 to 1, and outcomes that are all the same
            do not make it a point.

    Returns:
        (low, high); ``None`` for fewer than two documents with positions.

    Raises:
        Error: values that are not finite.
    """
    sums = document_sums(document, documents, values)
    return (share_interval if share else ratio_interval)(sums[:, 0], sums[:, 1])
