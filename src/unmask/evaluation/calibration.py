"""Does a model know what it knows? Its confidence against how often it is right, by noise level.

With c the probability of the most probable token and y in {0, 1} whether that is the clean one:

* ECE = sum over bins of (n_b / n) |mean c - mean y|: bins of equal mass, equal confidences never parted (Naeini et al.
  2015; equal mass: Nguyen & O'Connor 2015, arXiv 1508.05154).
* Brier score = mean (c - y)^2; over the whole vocabulary: mean over positions of sum_v (p_v - [v is clean])^2
  (Brier 1950).
* AUROC: the probability that a right answer is more confident than a wrong one, ties half (Mann-Whitney).

A small ECE alone means little, and a finite sample never gives 0. So beside it stand

* ``constant``: every confidence is the level's accuracy: ECE 0, but AUROC 0.5 and a Brier score of a (1 - a);
* ``overconfident``: the same network at temperature 0.5: the same answers and almost the same AUROC, a larger ECE;
* ``ece_floor``: the ECE expected of a *calibrated* model with these confidences, positions taken as independent:
  sum over bins of sqrt(2/pi sum c (1 - c)) / n (the normal limit of consistency resampling, Bröcker & Smith 2007).

Letters: n positions, b bins, D documents.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.evaluation.areas import auroc as auroc
from unmask.evaluation.areas import auroc_interval
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.intervals import ratio_interval
from unmask.evaluation.predictions import Predictions

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """What a set of confidences scores.

    Attributes:
        ece: Expected calibration error of the most probable token.
        brier: Brier score of the most probable token.
        brier_all: Brier score over the whole vocabulary, in [0, 2]; ``None`` where only a confidence is known.
        auroc: Of confidence for being right; ``None`` if all are right or all are wrong.
    """

    ece: float
    brier: float
    brier_all: float | None
    auroc: float | None


@dataclass(frozen=True)
class Point:
    """A bin of the reliability curve: its mean confidence, its accuracy and its positions."""

    confidence: float
    accuracy: float
    positions: int


@dataclass(frozen=True)
class LevelCalibration:
    """Calibration at one noise level.

    Attributes:
        name: The noise level, or ``all``.
        positions: Corrupted positions.
        accuracy: Share restored.
        confidence: Mean confidence.
        scores: The model's; ``None`` if there are no positions.
        ece_interval: 95 % interval over documents, bins and the side of each bin's gap fixed; like the ECE itself it
            lies rather high where a model is nearly calibrated.
        ece_floor: ECE of a calibrated model with these confidences.
        brier_interval: 95 % interval of the Brier score over documents.
        auroc_interval: Of the AUROC, likewise (see :func:`auroc_interval`).
        curve: The reliability curve.
        controls: ``constant``, and ``overconfident`` where the network's squares are known.
    """

    name: str
    positions: int
    accuracy: float | None = None
    confidence: float | None = None
    scores: Scores | None = None
    ece_interval: tuple[float, float] | None = None
    ece_floor: float | None = None
    brier_interval: tuple[float, float] | None = None
    auroc_interval: tuple[float, float] | None = None
    curve: list[Point] = field(default_factory=list)
    controls: dict[str, Scores] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """Calibration by noise level.

    Attributes:
        levels: One entry a noise level.
        overall: All positions together; levels weigh by their positions, so much noise weighs most.
    """

    levels: list[LevelCalibration]
    overall: LevelCalibration

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration by name."""
        return asdict(self)


def calibration(predictions: Predictions, *, bins: int = 15) -> Calibration:
    """Return ECE, Brier scores, AUROC and the reliability curve at each noise level, beside their controls.

    Args:
        predictions: From :func:`unmask.evaluation.predictions.predict_corrupted`.
        bins: Most bins of equal mass.
    """
    levels = [_level(name, predictions.at(number), bins) for number, name in enumerate(predictions.levels)]
    return Calibration(levels, _level("all", predictions, bins))


def reliability(
    name: str,
    confidence: Reals,
    correct: NDArray[np.bool_],
    document: NDArray[np.int64],
    *,
    bins: int = 15,
    squares: Reals | None = None,
) -> LevelCalibration:
    """Return what confidences of one noise level score, beside their controls.

    Args:
        name: The level.
        confidence: Of the most probable word [n].
        correct: Whether it is right [n].
        document: Number of the document [n].
        bins: Most bins of equal mass.
        squares: Sum of the squared probabilities [n], where the confidence is a network's own; else ``None``.
    """
    count = len(confidence)
    if not count:
        return LevelCalibration(name, 0)
    accuracy, documents = float(correct.mean()), int(document.max()) + 1
    number = equal_mass_bins(confidence, bins)
    mass, told, right = (np.bincount(number, values, bins) for values in (None, confidence, correct))
    spread = np.bincount(number, confidence * (1 - confidence), bins)
    controls = {"constant": _scores(np.full(count, accuracy), correct, None, None, bins)}
    if squares is not None:
        controls["overconfident"] = _scores(confidence**2 / squares, correct, None, None, bins)
    return LevelCalibration(
        name,
        count,
        accuracy=accuracy,
        confidence=float(confidence.mean()),
        scores=_scores(confidence, correct, None, None, bins),
        ece_interval=_ece_interval(document, documents, correct, confidence, number, bins),
        ece_floor=float(np.sqrt(2 / np.pi * spread).sum() / count),
        brier_interval=mean_interval(document, documents, (confidence - correct) ** 2),
        auroc_interval=auroc_interval(confidence, correct, document),
        curve=[
            Point(float(told[b] / mass[b]), float(right[b] / mass[b]), int(mass[b])) for b in range(bins) if mass[b]
        ],
        controls=controls,
    )


def equal_mass_bins(confidence: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    """Return the bin of each confidence: as even in mass as can be without parting equal confidences.

    Args:
        confidence: Confidences [n].
        bins: Most bins.

    Returns:
        Bin numbers [n] in 0 .. bins-1; some may be empty.
    """
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    number: NDArray[np.int64] = np.floor(middle * bins / max(len(confidence), 1)).astype(np.int64)
    return number[inverse]


def expected_calibration_error(confidence: NDArray[np.floating], correct: NDArray[np.generic], bins: int = 15) -> float:
    """Return ECE over bins of equal mass.

    Args:
        confidence: Confidences [n].
        correct: Whether each answer is right [n].
        bins: Most bins.
    """
    number = equal_mass_bins(confidence, bins)
    gap = np.bincount(number, confidence, bins) - np.bincount(number, correct, bins)
    return float(np.abs(gap).sum() / len(confidence))


def _scores(
    confidence: Reals, correct: NDArray[np.bool_], squares: Reals | None, clean: Reals | None, bins: int
) -> Scores:
    return Scores(
        ece=expected_calibration_error(confidence, correct, bins),
        brier=float(np.mean((confidence - correct) ** 2)),
        brier_all=None if squares is None or clean is None else float(np.mean(squares - 2 * clean + 1)),
        auroc=auroc(confidence, correct),
    )


def _level(name: str, part: Predictions, bins: int) -> LevelCalibration:
    if not len(part.level):
        return LevelCalibration(name, 0)
    confidence, clean = part.confidence.astype(np.float64), np.exp(-part.nats.astype(np.float64))
    squares, quartics = part.squares.astype(np.float64), part.quartics.astype(np.float64)
    found = reliability(name, confidence, part.correct, part.document, bins=bins)
    # Temperature 0.5 squares the probabilities: p_v^2 / sum of squares.
    twin = _scores(confidence**2 / squares, part.correct, quartics / squares**2, clean**2 / squares, bins)
    own = _scores(confidence, part.correct, squares, clean, bins)
    return replace(found, scores=own, controls={**found.controls, "overconfident": twin})


def _ece_interval(
    document: NDArray[np.int64],
    documents: int,
    correct: NDArray[np.bool_],
    confidence: Reals,
    number: NDArray[np.int64],
    bins: int,
) -> tuple[float, float] | None:
    """ECE = sum over bins of sign_b gap_b / n: a ratio of sums over documents, once the signs are what they are."""
    place, size = document * bins + number, documents * bins
    gap = (np.bincount(place, confidence, size) - np.bincount(place, correct, size)).reshape(-1, bins)
    positions = np.bincount(document, minlength=documents)
    span = ratio_interval((gap @ np.sign(gap.sum(0)))[positions > 0], positions[positions > 0].astype(np.float64))
    return None if span is None else (max(0.0, span[0]), span[1])
