"""How steady a believed thought is over the steps of denoising.

    stability = mean over consecutive answers of cos(belief, next belief), within one text

The original wants it above 0.8. A network that believes the same of every text has 1, so another text's belief at the
same step stands beside it: what is stable *and* the text's own lies between the two.

Letters: A answers of a text, F numbers of a thought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from unmask.errors import Error
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.thought_measures import unit

Span = tuple[float, float]
STABLE = 0.8
"""The original's target."""


@dataclass(frozen=True)
class Stability:
    """How a believed thought changes from answer to answer.

    Attributes:
        mean: Mean cosine of consecutive beliefs of one text.
        interval: 95 % over texts; ``None`` for a single one.
        above: Share of them above :data:`STABLE`.
        first_last: Correlation of the first and the last belief.
        other_mean: The control: a belief and *another* text's next one. ``None``: there is no other text.
        other_above: Share of those above :data:`STABLE`.
        other_first_last: Correlation of a text's first and another's last belief.
        texts: Texts with two answers or more.
        pairs: Pairs of consecutive answers.
    """

    mean: float
    interval: Span | None
    above: float
    first_last: float
    other_mean: float | None
    other_above: float | None
    other_first_last: float | None
    texts: int
    pairs: int


def stability(paths: Sequence[tuple[Int[np.ndarray, " A"], Float[np.ndarray, "A F"]]]) -> Stability:
    """Measure how steady beliefs are over the steps of denoising.

    Args:
        paths: For each text, the steps at which the network was asked, and what it believed. A step without an answer
            has no belief of its own: to count it would make any thought stable.

    Raises:
        Error: no text with two answers.
    """
    paths = [path for path in paths if len(path[0]) > 1]
    if not paths:
        raise Error("stability is over the answers to one text; sample with at least 2 steps.")
    own, other, text = [], [], []
    ends: list[float] = []
    crossed: list[float] = []
    for number, (steps, believed) in enumerate(paths):
        own.append(_cosines(believed[:-1], believed[1:]))
        text.append(np.full(len(steps) - 1, number))
        ends.append(_correlation(believed[0], believed[-1]))
        for rival, (theirs, beliefs) in enumerate(paths):
            if rival != number:
                at = np.clip(np.searchsorted(theirs, steps[1:], side="right") - 1, 0, None)
                other.append(_cosines(believed[:-1], beliefs[at]))
                crossed.append(_correlation(believed[0], beliefs[-1]))
    values, others = np.concatenate(own), np.concatenate(other) if other else None
    return Stability(
        mean=float(values.mean()),
        interval=mean_interval(np.concatenate(text), len(paths), values),
        above=float((values > STABLE).mean()),
        first_last=float(np.mean(ends)),
        other_mean=None if others is None else float(others.mean()),
        other_above=None if others is None else float((others > STABLE).mean()),
        other_first_last=float(np.mean(crossed)) if crossed else None,
        texts=len(paths),
        pairs=len(values),
    )


def _cosines(a: Float[np.ndarray, "N F"], b: Float[np.ndarray, "N F"]) -> Float[np.ndarray, " N"]:
    return np.asarray((unit(a) * unit(b)).sum(-1))


def _correlation(a: Float[np.ndarray, " F"], b: Float[np.ndarray, " F"]) -> float:
    return float(_cosines(a - a.mean(), b - b.mean()))
