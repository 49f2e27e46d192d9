"""A finished text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unmask.sampling.checks import Checked


@dataclass(frozen=True)
class Sample:
    """A finished text.

    Attributes:
        tokens: The whole text: BOS, given and written tokens, EOS where it ended.
        written: The written tokens alone, without EOS.
        confidence: The model's probability of each of ``tokens`` when it was chosen, calibrated where that was asked; 1
            for given ones.
        sure: Of these the ones of ``written``.
        decided: The step that decided each of ``tokens``; 0 for given ones.
        looks: Network calls that each stood open in.
        ended: True if the model ended the text, False if its canvas was full.
        steps: Steps taken.
        forwards: Network calls that this text took part in.
        checked: What a verifier said of it; ``None``: there was none.
    """

    tokens: tuple[int, ...]
    written: tuple[int, ...]
    confidence: tuple[float, ...]
    decided: tuple[int, ...]
    looks: tuple[int, ...]
    sure: tuple[float, ...]
    ended: bool
    steps: int
    forwards: int
    checked: Checked | None = None
