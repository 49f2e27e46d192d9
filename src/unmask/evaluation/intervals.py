"""95 % intervals: which documents we happened to hold out, and which seeds we happened to train with.

*Documents.* What we measure is a ratio of sums over documents, theta = sum x_i / sum s_i: nats over bytes, hits over
positions, one rival's nats over another's. It is the mean of the rates r_i = x_i / s_i with weights w_i = s_i / sum s,
so its variance is that of a weighted mean whose members are as uncertain as they are seen to differ:

    V = sum_i w_i^2 (r_i - theta)^2 / (1 - 2 w_i + q)                            q = sum_j w_j^2

which is unbiased where the rates have one variance (CR2 of Bell & McCaffrey 2002), and the interval is Student's t with
the degrees of freedom that V then has, nu = (sum_i d_i k_ii)^2 / sum_ij d_i d_j k_ij^2, where d_i = w_i^2 / (1 - 2 w_i
+ q) and k_ij = [i = j] - w_i - w_j + q (Satterthwaite 1946; Imbens & Kolesar 2016). Documents of one size: V is s^2 / N
and nu = N - 1, Student's interval of the mean. One long document among short ones: few degrees, and a wide interval. A
bootstrap over few documents covers far too little: see ``benchmarks/studies/compare/interval_coverage.py``.

*Seeds.* The mean over S seeds varies by s^2 / S with S - 1 degrees (Student 1908). Sources are added up with Welch's
degrees (1947), (sum V)^2 / sum (V^2 / nu). That alone is too narrow where a source of one degree happens to look
small, so the interval is never narrower than documents alone or seeds alone would make it. One seed a side speaks of
these very runs.

*Shares* of yes-or-no outcomes near 0 or 1 are no matter for t: Korn & Graubard (1998) put the number of independent
outcomes that would vary as much into the exact interval of Clopper & Pearson (1934).

Letters: N documents, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unmask.errors import Error

Reals = NDArray[np.float64]
Interval = tuple[float, float]
Source = tuple[float, float]
"""A variance, and its degrees of freedom."""


def interval(nats: Reals, sizes: Reals, *, level: float = 0.95) -> Interval | None:
    """Return the interval of sum(nats) / sum(bytes) / ln 2.

    Args:
        nats: Nats of each document [N], or of each seed's run and document [S, N].
        sizes: Bytes of each document [N].
        level: Coverage.

    Returns:
        (low, high) in bits per byte, ``None`` for fewer than two documents, about which nothing can be said.

    Raises:
        Error: numbers that are not finite.
    """
    rows = np.atleast_2d(nats)
    return _above_zero(_scaled(rows.mean(0), sizes, [over_seeds(_totals(rows, sizes))], level), rows)


def paired_interval(nats: Reals, other: Reals, sizes: Reals, *, level: float = 0.95) -> Interval | None:
    """Return the interval of the *difference* of two rivals' bits per byte on the same documents.

    It is much narrower than either rival's own, as most of the spread is about the documents. The seeds of two rivals
    are independent of each other.

    Args:
        nats: Of the first rival, [N] or [S, N].
        other: Of the second, [N] or [S', N].
        sizes: Bytes of each document [N].
        level: Coverage.

    Raises:
        Error: numbers that are not finite.
    """
    one, two = np.atleast_2d(nats), np.atleast_2d(other)
    seeds = [over_seeds(_totals(rows, sizes)) for rows in (one, two)]
    return _scaled(one.mean(0) - two.mean(0), sizes, seeds, level)


def paired_ratio(nats: Reals, other: Reals, *, level: float = 0.95) -> Interval | None:
    """Return the interval of the *ratio* of two rivals' bits per byte on the same documents.

    Arguments and errors as above; ``None`` also where the second rival has no nats at all.
    """
    one, two = np.atleast_2d(nats), np.atleast_2d(other)
    base = two.mean(0)
    if not base.sum() > 0:
        _refuse(one, two)
        return None
    ratio = float(one.mean(0).sum() / base.sum())
    seeds = [over_seeds(one.sum(1) / base.sum()), over_seeds(ratio * two.sum(1) / base.sum())]
    return _above_zero(ratio_interval(one.mean(0), base, seeds, level=level), one)


def ratio_interval(top: Reals, bottom: Reals, seeds: Sequence[Source] = (), *, level: float = 0.95) -> Interval | None:
    """Return the interval of sum(top) / sum(bottom), its documents being drawn from many.

    Args:
        top: x of each document [N].
        bottom: s of each document [N], none below 0. Ones: the interval is that of the mean of ``top``.
        seeds: Variances that come from the choice of seeds, in the ratio's unit.
        level: Coverage.

    Returns:
        (low, high), ``None`` where fewer than two documents have any weight.

    Raises:
        Error: numbers that are not finite.
    """
    found = over_documents(top, bottom)
    if found is None:
        return None
    return _around(float(np.sum(top) / np.sum(bottom)), found, seeds, level)


def over_documents(top: Reals, bottom: Reals) -> Source | None:
    """Return V and nu of sum(top) / sum(bottom); arguments, ``None`` and errors as :func:`ratio_interval`."""
    x, s = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    _refuse(x, s)
    total = float(s.sum())
    if not total > 0:
        return None
    w, error = s / total, (x - x.sum() / total * s) / total  # error: w_i (r_i - theta), without dividing by s_i
    q, rest = float(np.square(w).sum()), (total - s) / total
    k = rest**2 + np.maximum(q - w**2, 0)  # k_ii = 1 - 2 w_i + q, which cancels where one document is almost all
    if (k < 1e-9).any():
        return None
    d = w**2 / k
    none, once, twice = d.sum(), (d * w).sum(), (d * w**2).sum()
    off = q**2 * none**2 + 2 * none * twice - 4 * q * none * once + 2 * once**2
    degrees = (d * k).sum() ** 2 / (off + (d**2 * (k**2 - (q - 2 * w) ** 2)).sum())
    return float((np.square(error) / k).sum()), max(1.0, float(degrees))


def over_seeds(values: Reals | Sequence[float]) -> Source:
    """Return the variance of the mean of one number a seed, and its degrees; (0, 1) for a single one."""
    count = len(values)
    return (0.0, 1.0) if count < 2 else (float(np.var(values, ddof=1)) / count, count - 1.0)


def added(sources: Sequence[Source]) -> Source:
    """Return the variance of a sum of independent parts, and Welch's degrees."""
    if not all(math.isfinite(variance) for variance, _ in sources):
        return math.inf, 1.0
    most = max((variance for variance, _ in sources), default=0.0)
    if not most > 0:
        return 0.0, 1.0
    share = [(variance / most, degrees) for variance, degrees in sources]
    whole = sum(part for part, _ in share)
    return most * whole, whole**2 / sum(part**2 / degrees for part, degrees in share)


def seed_interval(values: Reals | Sequence[float], *, level: float = 0.95) -> Interval | None:
    """Return Student's t interval of the mean of one number a seed; ``None`` for a single one.

    Args:
        values: One number a seed [S].
        level: Coverage.

    Raises:
        Error: numbers that are not finite.
    """
    _refuse(np.asarray(values, np.float64))
    return None if len(values) < 2 else _around(float(np.mean(values)), over_seeds(values), (), level)


def seed_difference(values: Reals, other: Reals, *, level: float = 0.95) -> Interval | None:
    """Return Welch's interval (1947) of the difference of two means over seeds; ``None`` with a single one a side."""
    _refuse(np.asarray(values, np.float64), np.asarray(other, np.float64))
    if min(len(values), len(other)) < 2:
        return None
    spread = added([over_seeds(values), over_seeds(other)])
    return _around(float(np.mean(values) - np.mean(other)), spread, (), level)


def share_interval(hits: Reals, counts: Reals, *, level: float = 0.95) -> Interval | None:
    """Return the interval of a share of yes-or-no outcomes, those of one document being alike (Korn & Graubard 1998).

    Args:
        hits: Outcomes of each document that are yes [N].
        counts: Outcomes of each document [N].
        level: Coverage.

    Returns:
        (low, high) within 0 to 1, ``None`` as :func:`ratio_interval`. Of outcomes that are all the same, the documents
        are counted, as so many independent outcomes.
    """
    from scipy.special import betaincinv, stdtrit  # takes as long to import as a recipe to read

    found = over_documents(hits, counts)
    if found is None:
        return None
    variance, degrees = found
    share, outcomes = float(np.sum(hits) / np.sum(counts)), float(np.sum(counts))
    documents = outcomes**2 / float(np.square(counts).sum())
    number = documents
    if variance > 0:
        few = stdtrit(max(1.0, outcomes - 1), (1 + level) / 2) / stdtrit(degrees, (1 + level) / 2)
        number = min(outcomes, share * (1 - share) / variance * float(few) ** 2)
    yes, miss = share * number, (1 - level) / 2
    low = 0.0 if yes <= 0 else float(betaincinv(yes, number - yes + 1, miss))
    high = 1.0 if yes >= number else float(betaincinv(yes + 1, number - yes, 1 - miss))
    return low, high


def half_width(source: Source, level: float = 0.95) -> float:
    """Return t sqrt(V)."""
    from scipy.special import stdtrit  # takes as long to import as a recipe to read

    return float(stdtrit(source[1], (1 + level) / 2)) * math.sqrt(source[0])


def _around(middle: float, documents: Source, seeds: Sequence[Source], level: float) -> Interval:
    halves = [half_width(part, level) for part in (documents, added(seeds), added([documents, *seeds]))]
    _refuse(np.array([middle, *halves]))
    return middle - max(halves), middle + max(halves)


def _scaled(nats: Reals, sizes: Reals, seeds: Sequence[Source], level: float) -> Interval | None:
    return ratio_interval(nats / math.log(2), sizes, seeds, level=level)


def _totals(rows: Reals, sizes: Reals) -> Reals:
    """Return the bits per byte of each seed's run."""
    return np.asarray(rows.sum(1) / max(float(np.sum(sizes)), 1.0) / math.log(2))


def _above_zero(span: Interval | None, values: Reals) -> Interval | None:
    """Cut an interval at zero where no value is below it."""
    return span if span is None or bool((values < 0).any()) else (max(0.0, span[0]), span[1])


def _refuse(*values: Reals) -> None:
    for each in values:
        if not np.isfinite(each).all():
            raise Error(f"an interval of numbers that are not finite ({each[~np.isfinite(each)][0]}) says nothing.")
