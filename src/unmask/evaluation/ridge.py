"""What can be told, linearly, of one thing from another: ridge regression, judged on documents it was not fitted on.

    W = argmin |Y - X W|^2 + lambda |W|^2        X, Y centred by the documents that are fitted
    R^2 = 1 - sum |y - y_hat|^2 / sum |y - mean of the fitted|^2

lambda is chosen for each fold by generalised cross-validation on its own fitted rows (Golub, Heath & Wahba 1979). Rows
of one document stay together. Below 0 the prediction is worse than the mean.

Letters: N rows, F numbers that are known, G numbers that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from unmask.errors import Error
from unmask.evaluation.clusters import document_sums
from unmask.evaluation.intervals import ratio_interval

_LAMBDAS = 10.0 ** np.arange(-9.0, 3.5, 0.5)
"""In units of the largest squared singular value."""


@dataclass(frozen=True)
class Told:
    """What a probe says of rows that it was not fitted on.

    Attributes:
        predicted: Its answers.
        mean: The mean of the rows that it was fitted on: what is said without knowing anything.
    """

    predicted: Float[np.ndarray, "N G"]
    mean: Float[np.ndarray, "N G"]


def told(
    known: Float[np.ndarray, "N F"],
    wanted: Float[np.ndarray, "N G"],
    document: Int[np.ndarray, " N"],
    *,
    folds: int = 5,
    seed: int = 0,
) -> Told:
    """Predict every row by a ridge that was fitted on other documents.

    Args:
        known: What is known of each row.
        wanted: What is to be told.
        document: Document of each row.
        folds: Parts of the documents; each is predicted from all others.
        seed: Of the parts.

    Raises:
        Error: fewer than two documents.
    """
    part = parts(document, folds, seed)
    known, wanted = known.astype(np.float64), wanted.astype(np.float64)
    predicted, mean = np.empty_like(wanted), np.empty_like(wanted)
    for number in range(part.max() + 1):
        out = part == number
        middle_known, middle = known[~out].mean(0), wanted[~out].mean(0)
        weight = _ridge(known[~out] - middle_known, wanted[~out] - middle)
        predicted[out], mean[out] = middle + (known[out] - middle_known) @ weight, middle
    return Told(predicted, mean)


def means(
    wanted: Float[np.ndarray, "N G"], document: Int[np.ndarray, " N"], *, folds: int = 5, seed: int = 0
) -> Float[np.ndarray, "N G"]:
    """Return for each row the mean over the other parts' documents. Arguments and errors: :func:`told`."""
    part = parts(document, folds, seed)
    wanted = wanted.astype(np.float64)
    return np.asarray(np.stack([wanted[part != number].mean(0) for number in range(part.max() + 1)])[part])


def parts(document: Int[np.ndarray, " N"], folds: int, seed: int) -> Int[np.ndarray, " N"]:
    """Return the part that each row's document was dealt to.

    Raises:
        Error: fewer than two documents.
    """
    names, place = np.unique(document, return_inverse=True)
    if len(names) < 2:
        raise Error("a probe is judged on documents that it was not fitted on; give two documents or more.")
    dealt: Int[np.ndarray, " N"] = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    return dealt[place]


def of_others(document: Int[np.ndarray, " N"], rng: np.random.Generator) -> Int[np.ndarray, " N"]:
    """Return for each row one of another document (of its own, if that has more than half of all rows)."""
    names, place, count = np.unique(document, return_inverse=True, return_counts=True)
    order = np.lexsort((rng.random(len(document)), rng.permutation(len(names))[place]))
    partner = np.empty(len(document), np.int64)
    partner[order] = np.roll(order, int(count.max()))
    return partner


def explained(
    wanted: Float[np.ndarray, "N G"],
    predicted: Float[np.ndarray, "N G"],
    mean: Float[np.ndarray, "N G"],
    document: Int[np.ndarray, " N"],
) -> tuple[float | None, tuple[float, float] | None]:
    """Return R^2 over all numbers together, and its 95 % interval over documents.

    ``None`` where nothing varies, so that there is nothing to explain.
    """
    lost = np.square(wanted - predicted).sum(1)
    there = np.square(wanted - mean).sum(1)
    if there.sum() <= 1e-12 * max(1.0, np.square(wanted).sum()):
        return None, None
    sums = document_sums(document, int(document.max()) + 1, lost, there)
    span = ratio_interval(sums[:, 0], sums[:, 1])
    return float(1 - lost.sum() / there.sum()), None if span is None else (1 - span[1], 1 - span[0])


def _ridge(x: Float[np.ndarray, "N F"], y: Float[np.ndarray, "N G"]) -> Float[np.ndarray, "F G"]:
    """Return the weights for centred rows; zeros where nothing is known."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    keep = s > 1e-10 * max(float(s[0]), 1e-300) if len(s) else np.zeros(0, bool)
    if not keep.any():
        return np.zeros((x.shape[1], y.shape[1]))
    u, s, vt = u[:, keep], s[keep], vt[keep]
    along = u.T @ y
    power = np.square(along).sum(1)
    outside = max(float(np.square(y).sum() - power.sum()), 0.0)
    best, chosen = np.inf, _LAMBDAS[-1] * s[0] ** 2
    for penalty in _LAMBDAS * s[0] ** 2:
        shrink = penalty / (s**2 + penalty)
        free = 1 - ((1 - shrink).sum() + 1) / len(x)  # 1: the mean
        score = (outside + (shrink**2 * power).sum()) / free**2 if free > 1e-9 else np.inf
        if score < best:
            best, chosen = score, penalty
    return np.asarray(vt.T @ ((s / (s**2 + chosen))[:, None] * along))
