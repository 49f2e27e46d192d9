"""Confidence intervals: which documents we happened to hold out, and which seeds we happened to train with.

Documents: the estimator is a ratio, sum of nats / sum of bytes, so documents are drawn whole and both sums are taken
anew (Efron & Tibshirani 1993, chapters 9 and 13: percentile interval). Rivals are compared on the same draws.

Seeds: a bootstrap over two or three runs would claim far too little spread. So with S >= 2 seeds each resample adds
t * s / sqrt(S), with s the standard deviation over seeds and t drawn from Student's distribution with S - 1 degrees of
freedom: what a t interval does (Student 1908). Two seeds say very little, and the interval shows it. With one seed the
interval speaks of this very run.

Letters: N documents, S seeds, R resamples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Reals = NDArray[np.float64]


def interval(
    nats: Reals, sizes: Reals, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the percentile interval of sum(nats) / sum(bytes) / ln 2.

    Args:
        nats: Nats of each document [N], or of each seed's run and document [S, N].
        sizes: Bytes of each document [N].
        level: Coverage.
        resamples: R.
        seed: Of the resampling.

    Returns:
        (low, high) in bits per byte, ``None`` for fewer than two documents, about which nothing can be said.
    """
    if np.shape(nats)[-1] < 2:
        return None
    return _percentiles(_resampled(nats, sizes, resamples, seed), level)


def paired_interval(
    nats: Reals, other: Reals, sizes: Reals, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the interval of the *difference* of two rivals' bits per byte on the same documents.

    It is much narrower than either rival's own, as most of the spread is about the documents. The seeds of two rivals
    are independent of each other.

    Args:
        nats: Of the first rival, [N] or [S, N].
        other: Of the second, [N] or [S', N].
        sizes: Bytes of each document [N].
        level: Coverage.
        resamples: R.
        seed: Of the resampling.
    """
    if np.shape(nats)[-1] < 2:
        return None
    difference = np.mean(np.atleast_2d(nats), axis=0) - np.mean(np.atleast_2d(other), axis=0)
    values = _resampled(difference, sizes, resamples, seed)
    values = values + _seed_noise(nats, sizes, resamples, seed + 1) - _seed_noise(other, sizes, resamples, seed + 2)
    return _percentiles(values, level)


def paired_ratio(
    nats: Reals, other: Reals, sizes: Reals, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the interval of the *ratio* of two rivals' bits per byte on the same documents. Arguments as above."""
    if np.shape(nats)[-1] < 2:
        return None
    pair = []
    for place, values in enumerate((nats, other)):
        noise = _seed_noise(values, sizes, resamples, seed + 1 + place)
        pair.append(_resampled(np.mean(np.atleast_2d(values), axis=0), sizes, resamples, seed) + noise)
    return _percentiles(pair[0] / np.maximum(pair[1], 1e-12), level)


def seed_interval(values: Reals, *, level: float = 0.95) -> tuple[float, float] | None:
    """Return Student's t interval of the mean of one number a seed; ``None`` for a single one.

    Args:
        values: One number a seed [S].
        level: Coverage.
    """
    count = len(values)
    if count < 2:
        return None
    half = float(stdtrit(count - 1, (1 + level) / 2)) * float(np.std(values, ddof=1)) / math.sqrt(count)
    middle = float(np.mean(values))
    return middle - half, middle + half


def _resampled(nats: Reals, sizes: Reals, resamples: int, seed: int) -> Reals:
    rng = np.random.default_rng(seed)
    mean = np.mean(np.atleast_2d(nats), axis=0)
    count = len(mean)
    both = np.stack([mean, sizes], axis=1).astype(np.float64)
    sums = np.empty((resamples, 2))
    step = max(1, (1 << 22) // count)  # keeps the weights [step, N] under 32 MB
    for start in range(0, resamples, step):
        weights = rng.multinomial(count, np.full(count, 1.0 / count), size=min(step, resamples - start))
        sums[start : start + step] = weights @ both
    values = sums[:, 0] / np.maximum(sums[:, 1], 1.0) / math.log(2)
    return values + _seed_noise(nats, sizes, resamples, seed + 1) if np.ndim(nats) == 2 else values


def _seed_noise(nats: Reals, sizes: Reals, resamples: int, seed: int) -> Reals:
    """Return what the choice of seeds adds to each resample, in bits per byte; zeros for a single run."""
    rows = np.atleast_2d(nats)
    count = len(rows)
    if count < 2:
        return np.zeros(resamples)
    each = rows.sum(1) / max(float(np.sum(sizes)), 1.0) / math.log(2)
    t = np.random.default_rng([seed, count]).standard_t(count - 1, size=resamples)
    return t * float(np.std(each, ddof=1)) / math.sqrt(count)


def _percentiles(values: Reals, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
