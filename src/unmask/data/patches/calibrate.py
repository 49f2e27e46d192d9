"""Theta for a mean patch size: bisection over the scores of a text.

The fewer scores exceed theta, the fewer patches, also with code points kept whole and a maximum length (each of which
moves the mean away from the quantile 1 - 1 / mean: forced cuts shorten patches, forbidden ones lengthen them). So the
number of patches is measured, not guessed, and falls as theta rises.

Take text that the entropy model was not fitted on: on its own text an n-gram is surer than it will ever be again, and
patches of new text come out shorter than asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from unmask.data import utf8
from unmask.data.patches.babylon import Babylon, Calibration
from unmask.data.patches.patcher import bounded
from unmask.errors import Error


def calibrate(patcher: Babylon, texts: Iterable[bytes], size: float) -> Babylon:
    """Return the patcher with the theta whose mean patch size comes nearest to ``size``.

    Theta lies half-way between two scores of the text, so that rounding on another machine does not move a cut.

    Args:
        patcher: Rule, maximum length and reset are kept; its theta is ignored.
        texts: Bytes that the patcher has not seen in fitting.
        size: Wanted bytes a patch.

    Raises:
        Error: no bytes, or a size that this rule, maximum length or text does not reach.
    """
    parts = [(patcher.scores(text), utf8.free(text)) for text in texts if text]
    total = sum(len(scores) for scores, _ in parts)
    if not total:
        raise Error("there are no bytes to calibrate patches on. Give texts.")

    def mean(theta: float) -> float:
        longest = patcher.options.max_length
        return total / sum(int(bounded(scores > theta, allowed, longest).sum()) for scores, allowed in parts)

    levels = np.unique(np.concatenate([scores for scores, _ in parts]))
    levels = levels[np.isfinite(levels)]
    if not len(levels):
        raise Error("no byte of this text qualifies for a start. Lower jump, or give more text.")
    edges = np.concatenate([[levels[0] - 1], (levels[1:] + levels[:-1]) / 2, [levels[-1] + 1]])
    low, high = 0, len(edges) - 1
    least, most = mean(edges[low]), mean(edges[high])
    if not least <= size <= most or math.isnan(size):
        raise Error(
            f"a mean patch size of {size:g} cannot be reached here: rule {patcher.options.rule!r} with max_length "
            f"{patcher.options.max_length} gives {least:.2f} to {most:.2f} bytes on this text. Choose one of these."
        )
    while high - low > 1:
        middle = (low + high) // 2
        if mean(edges[middle]) <= size:
            low = middle
        else:
            high = middle
    theta = min((float(edges[low]), float(edges[high])), key=lambda edge: abs(mean(edge) - size))
    options = patcher.options.model_copy(update={"theta": theta})
    return Babylon(options, patcher.entropy, Calibration(size, mean(theta), total))
