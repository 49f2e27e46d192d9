"""What a search for settings found: the front, the run's own settings beside it, and what was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.lines import counted
from unmask.result import Result

if TYPE_CHECKING:
    from unmask.sweeps.bench import Point


@dataclass(frozen=True, repr=False)
class FrontLine(Result):
    """One way to write, measured again after the search.

    Attributes:
        sampler: Its name.
        settings: Those that were said; all others are the sampler's defaults.
        label: Sampler and settings in one.
        bits_per_byte: The judge's, of what it wrote behind the prompts; ``None``: it wrote nothing.
        interval: The 95 % interval of that over prompts.
        ms: Milliseconds until each text of a batch has 128 tokens more, the median of the repeats.
        ms_range: The least and the most of the repeats.
        forwards: Network calls of a timed generation.
        entropy: Of its words, in bits.
        real_entropy: Of real text of the same size.
        repeated_4: Share of its 4-grams that repeat one of the same text.
        real_repeated_4: Of real text of the same size.
        distinct_2: Share of its word pairs that are different.
        collapsed: Whether it keeps one of the limits not: then it is on no front.
        contended: Whether other programs took the processor while it was timed.
    """

    sampler: str
    settings: dict[str, Any]
    label: str
    bits_per_byte: float | None
    interval: tuple[float, float] | None
    ms: float
    ms_range: tuple[float, float]
    forwards: int
    entropy: float
    real_entropy: float
    repeated_4: float
    real_repeated_4: float
    distinct_2: float
    collapsed: bool
    contended: bool

    @classmethod
    def of(cls, point: Point) -> FrontLine:
        """Return what is told of a point."""
        return cls(
            sampler=point.sampler,
            settings=point.settings,
            label=point.way.label,
            bits_per_byte=point.bits,
            interval=point.interval,
            ms=point.ms,
            ms_range=point.ms_range,
            forwards=point.forwards,
            entropy=point.text.entropy,
            real_entropy=point.real.entropy,
            repeated_4=point.text.repeated_4,
            real_repeated_4=point.real.repeated_4,
            distinct_2=point.text.distinct_2,
            collapsed=point.collapsed,
            contended=point.contended,
        )

    def _facts(self) -> tuple[str, ...]:
        bits = "nothing written" if self.bits_per_byte is None else f"{self.bits_per_byte:.3f} bits per byte"
        return self.label, bits, f"{self.ms:.0f} ms"


@dataclass(frozen=True, repr=False)
class TuneResult(Result):
    """What a search found.

    Attributes:
        run: The run's folder.
        judge: What quality was judged by.
        real_bits_per_byte: The judge's bits per byte of the real text behind the prompts.
        front: The ways that no other beats in both, fastest first.
        own: How the run writes by its recipe, measured beside them.
        chosen: Number in ``front``, from 1, of the preset; ``None``: none was written.
        preset: The preset's file.
        picture: The front's picture.
        trials: Ways that were tried, those of earlier calls included.
        collapsed: How many of these had collapsed.
        prompts: Prompts that each way wrote behind.
        length: Tokens that were written and timed.
        batch_size: Texts at once that were timed.
        seed: Of the search and the texts; those of the front have the next one.
        machine: What the times are of.
        threads: Threads that computed.
        notes: What a reader has to know of the held-out text.
    """

    run: str
    judge: str
    real_bits_per_byte: float
    front: list[FrontLine]
    own: FrontLine
    chosen: int | None
    preset: Path | None
    picture: Path
    trials: int
    collapsed: int
    prompts: int
    length: int
    batch_size: int
    seed: int
    machine: str
    threads: int
    notes: list[str]

    def _facts(self) -> tuple[str, ...]:
        chosen = [] if self.chosen is None else self.front[self.chosen - 1 : self.chosen]
        best = [f"preset {row.label}" for row in chosen]
        return counted(len(self.front), "way") + " on the front", counted(self.trials, "trial"), *best
