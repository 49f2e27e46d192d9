"""AUROC: the probability that a right answer is more confident than a wrong one, and its interval over documents.

Letters: n positions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unmask.evaluation.intervals import Reals, ratio_interval


def auroc(confidence: NDArray[np.floating], correct: NDArray[np.generic]) -> float | None:
    """Return the probability that a right answer is more confident than a wrong one, ties counting half.

    Args:
        confidence: Confidences [n].
        correct: Whether each answer is right [n].

    Returns:
        A share, or ``None`` if all are right or all are wrong.
    """
    right = np.asarray(correct, dtype=bool)
    wins, losses = int(right.sum()), int((~right).sum())
    if not wins or not losses:
        return None
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # mid-ranks, from 1
    return float((rank[right].sum() - wins * (wins + 1) / 2) / (wins * losses))


def auroc_interval(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], document: NDArray[np.int64]
) -> tuple[float, float] | None:
    """Return the 95 % interval of the AUROC over documents, whose positions are alike (Obuchowski 1997).

    A right answer's share of wrong ones that it beats, and a wrong one's of right ones that beat it, are summed by
    document; as a ratio of sums their spread over documents is the AUROC's.

    Args:
        confidence: Confidences [n].
        correct: Whether each answer is right [n].
        document: Number of the document [n].
    """
    area = auroc(confidence, correct)
    if area is None:
        return None
    right = np.asarray(correct, dtype=bool)
    beaten = _share_below(confidence[~right], confidence[right])
    beating = 1 - _share_below(confidence[right], confidence[~right])
    size = int(document.max()) + 1
    moved = np.bincount(document[right], beaten - area, size) / right.sum()
    moved += np.bincount(document[~right], beating - area, size) / (~right).sum()
    moved = moved[np.bincount(document, minlength=size) > 0] * len(np.unique(document))
    span = ratio_interval(moved, np.ones_like(moved))
    return None if span is None else (max(0.0, area + span[0]), min(1.0, area + span[1]))


def _share_below(sample: NDArray[np.floating], values: NDArray[np.floating]) -> Reals:
    """Return the share of a sample that each value is above, equals counting half."""
    ordered = np.sort(sample)
    ends = [np.searchsorted(ordered, values, side) for side in ("left", "right")]  # type: ignore[call-overload]
    return np.asarray((ends[0] + ends[1]) / (2 * len(ordered)))
