"""Confidence intervals over documents, by bootstrap: which documents we happened to hold out is the chance involved.

The estimator is a ratio, sum of nats / sum of bytes, so documents are drawn whole and both sums are taken anew
(Efron & Tibshirani 1993, chapters 9 and 13: percentile interval). Rivals are compared on the same draws.

Letters: N documents, R resamples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def interval(
    nats: Reals, sizes: Reals, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the percentile interval of sum(nats) / sum(bytes) / ln 2.

    Args:
        nats: Nats of each document [N].
        sizes: Bytes of each document [N].
        level: Coverage.
        resamples: R.
        seed: Of the resampling.

    Returns:
        (low, high) in bits per byte, ``None`` for fewer than two documents, about which nothing can be said.
    """
    if len(nats) < 2:
        return None
    return _percentiles(_resampled(nats, sizes, resamples, seed), level)


def paired_interval(
    nats: Reals, other: Reals, sizes: Reals, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the interval of the *difference* of two rivals' bits per byte on the same documents.

    It is much narrower than either rival's own, as most of the spread is about the documents.
    """
    return interval(nats - other, sizes, level=level, resamples=resamples, seed=seed)


def _resampled(nats: Reals, sizes: Reals, resamples: int, seed: int) -> Reals:
    rng = np.random.default_rng(seed)
    count = len(nats)
    both = np.stack([nats, sizes], axis=1).astype(np.float64)
    sums = np.empty((resamples, 2))
    step = max(1, (1 << 22) // count)  # keeps the weights [step, N] under 32 MB
    for start in range(0, resamples, step):
        weights = rng.multinomial(count, np.full(count, 1.0 / count), size=min(step, resamples - start))
        sums[start : start + step] = weights @ both
    return sums[:, 0] / np.maximum(sums[:, 1], 1.0) / math.log(2)


def _percentiles(values: Reals, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
