"""What the stages of a comparison share: the rows, the text, how much is measured, and the parts that are finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from unmask.data.corpus import Corpus
from unmask.progress import Stage, Tell
from unmask.reports.entrants import Entrant
from unmask.reports.finished_parts import Parts
from unmask.reports.generation import Way
from unmask.reports.scope import Scope
from unmask.training.held_out import HeldOut

Value = TypeVar("Value")


@dataclass
class Session:
    """What all stages share.

    Attributes:
        entrants: The rows.
        ways: How each row is sampled.
        corpus: The corpus of the first run that learned from texts known here; ``None``: there is none.
        split: The part of it that this run learned from.
        text: The held-out text.
        window: Bytes of a window.
        length: Tokens of a generated text.
        scope: How much is measured.
        seed: Of the bounds' noise, the samples and the bootstrap.
        parts: What is finished.
        tell: Called with every change of a stage.
        warnings: Where the comparison is not even, or something could not be measured.
        begun: Stages that have begun.
    """

    entrants: list[Entrant]
    ways: list[list[Way]]
    corpus: Corpus | None
    split: str
    text: HeldOut
    window: int
    length: int
    scope: Scope
    seed: int
    parts: Parts
    tell: Tell
    warnings: list[str]
    begun: int = 0

    def stage(self, name: str, weights: Sequence[float]) -> Stage:
        """Begin a stage: its items by their work, in any unit."""
        self.begun += 1
        return Stage(name, (self.begun, 5 + self.scope.timing + len(self.scope.measures)), weights, self.tell)

    def part(self, stage: Stage, what: str, name: str, kind: Any, measure: Callable[[], Value]) -> Value:
        """Measure the next item of a stage, or take it from the parts that are here.

        Args:
            stage: The stage.
            what: What is measured, in words.
            name: The part's name.
            kind: Its type.
            measure: Measures it.
        """
        stage.item(what, kept=self.parts.holds(name))
        value = self.parts.get(name, kind, measure)
        stage.finish()
        return value
