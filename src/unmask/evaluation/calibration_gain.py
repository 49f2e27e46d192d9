"""What a calibration is worth: confidence against being right before and after, on documents nothing was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unmask.evaluation.calibration import Calibration as Reliability
from unmask.evaluation.calibration import reliability
from unmask.evaluation.confidences import Confidences
from unmask.evaluation.predictions import EDGES
from unmask.sampling.calibrated import Calibration, level_of, worth


@dataclass(frozen=True)
class Measured:
    """Confidence against how often it is right, on documents that nothing was fitted to or chosen by.

    Attributes:
        states: ``forced``: in the order of the network's own confidence, the words the text's own; ``calibrated``: the
            same in the order of the calibrated one; ``corrupted``: words hidden at random, as in training; ``written``:
            among words of the network's own, where agreement with the hidden text is a lower bound of being right;
            ``drawn``: as ``forced``, of words that were drawn and not of the most probable ones.
        before: Of the network's own probability, by noise level.
        after: Of the calibrated one.
        cut: Share of the expected calibration error that is gone, all levels together; ``None``: there was none.
    """

    states: str
    before: Reliability
    after: Reliability
    cut: float | None


def measured(states: str, data: Confidences, calibration: Calibration) -> Measured:
    """Return what a calibration is worth on what was collected.

    Args:
        states: Which; ``drawn`` reads the drawn words.
        data: What a network said there.
        calibration: The map.
    """
    told, own, right, squares = calibration(data), data.peak, data.right, data.squares.numpy()
    if states == "drawn":
        told, own, right = worth(data.drawn, data.peak, told), data.drawn, data.drawn_right
    level, document = level_of(data.level, EDGES).numpy(), data.document.numpy()

    def by_level(confidence: Any, raw: bool) -> Reliability:
        def of(name: str, at: Any) -> Any:
            beside = squares[at] if raw and states != "drawn" else None
            return reliability(name, confidence.numpy()[at], right.numpy()[at], document[at], squares=beside)

        pairs = list(zip(EDGES, EDGES[1:], strict=False))
        levels = [of(f"({a:g}, {b:g}]", level == number) for number, (a, b) in enumerate(pairs)]
        return Reliability(levels, of("all", level >= 0))

    before, after = by_level(own, True), by_level(told, False)
    was, now = before.overall.scores, after.overall.scores
    return Measured(states, before, after, None if not was or not now or not was.ece else 1 - now.ece / was.ece)
