"""Intervals for measures over positions: the chance is which documents were held out, so documents are drawn whole.

Positions of one document are not independent. So any measure that is a function of sums over positions is computed from
the sums of each document, and resampled over documents (cluster bootstrap; Davison & Hinkley 1997, section 3.8).

Letters: n positions, N documents, K sums, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


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
    document: NDArray[np.integer],
    documents: int,
    values: NDArray[np.generic],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of the mean of values over positions.

    Args:
        document: Document of each position [n].
        documents: Number of documents (N).
        values: Values [n].
        resamples: R.
        seed: Of the resampling.

    Returns:
        (low, high); ``None`` for fewer than two documents with positions.
    """
    sums = document_sums(document, documents, values)
    return cluster_interval(sums, lambda s: s[:, 0] / s[:, 1], resamples=resamples, seed=seed)


def cluster_interval(
    sums: NDArray[np.float64],
    measure: Callable[[Reals], Reals],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the percentile interval of a measure over resampled documents.

    Args:
        sums: Sums of each document [N, K].
        measure: Maps resampled sums [R, K] to the measure [R].
        level: Coverage.
        resamples: R.
        seed: Of the resampling.

    Returns:
        (low, high); ``None`` for fewer than two documents, about which nothing can be said.
    """
    count = len(sums)
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    values = []
    step = max(1, (1 << 22) // count)  # keeps the weights [step, N] under 32 MB
    for start in range(0, resamples, step):
        weights = rng.multinomial(count, np.full(count, 1.0 / count), size=min(step, resamples - start))
        values.append(measure(weights @ sums))
    low, high = np.quantile(np.concatenate(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
