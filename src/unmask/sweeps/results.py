"""What a sweep found, as data: its rows, its configurations (rows without their seed), its samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from unmask.lines import counted
from unmask.reports.rows import Control, Decision, TextRow
from unmask.result import Result


@dataclass(frozen=True)
class SweepRow:
    """One run of a plan.

    Attributes:
        id: Hash of what is trained; empty for a row whose parts are missing.
        label: Its choices in words, with the seed where there are several.
        configuration: The same without the seed.
        values: Axis -> choice in words.
        numbers: Axis -> choice, where it is a number.
        seed: Of its training.
        status: ``finished``, ``stopped`` (by the plan's rule), ``failed``, ``not available``, or how far it came.
        why: Why it stopped, failed or is not available.
        path: The run folder.
        parameters: Trainable parameters.
        steps: Optimiser steps taken.
        tokens: Training tokens seen.
        training_flops: FLOPs of its training.
        seconds: Seconds of its training steps.
        tokens_per_second: Training tokens a second.
        device: What it was trained on, with threads and precision.
        held_out_nats: Held-out nats a token that training logged last.
        bits_per_byte: Of the held-out text; ``None`` unless it finished.
        bound: Kind of that number.
        draws: Network calls a window behind a bound.
        interval: 95 % interval over documents.
    """

    id: str
    label: str
    configuration: str
    values: dict[str, str]
    numbers: dict[str, float]
    seed: int | None
    status: str
    why: str
    path: str
    parameters: int | None = None
    steps: int | None = None
    tokens: int | None = None
    training_flops: float | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    device: str = ""
    held_out_nats: float | None = None
    bits_per_byte: float | None = None
    bound: str = ""
    draws: int = 0
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Configuration:
    """The finished seeds of one choice: means over seeds.

    Attributes:
        label: Its choices in words.
        values: Axis -> choice in words.
        numbers: Axis -> choice, where it is a number.
        seeds: Seeds that finished.
        bits_per_byte: Mean over seeds.
        spread: Standard deviation over seeds; ``None`` for one.
        per_seed: Bits per byte of each seed.
        bound: Kind of that number.
        draws: Network calls a window behind a bound.
        interval: 95 % interval over documents, and over seeds where there are several.
        difference: Bits per byte above the best of its kind, with the paired 95 % interval; ``None`` for the best.
        verdict: ``best``, ``worse``, ``no difference shown``, ``only one of its kind``, or ``not finite``.
        parameters: Trainable parameters.
        tokens: Training tokens seen.
        training_flops: FLOPs of a training.
        seconds: Seconds of training steps.
        tokens_per_second: Training tokens a second.
    """

    label: str
    values: dict[str, str]
    numbers: dict[str, float]
    seeds: list[int]
    bits_per_byte: float
    spread: float | None
    per_seed: list[float]
    bound: str
    draws: int
    interval: tuple[float, float] | None
    difference: tuple[float, float, float] | None
    verdict: str
    parameters: int
    tokens: float | None
    training_flops: float | None
    seconds: float | None
    tokens_per_second: float | None


@dataclass(frozen=True)
class SampleRow:
    """One run sampled in one way.

    Attributes:
        label: The row's label, or the name of a run that the plan gives.
        sampler: The sampler with its settings in words.
        settings: The settings that the plan gives.
        text: Its text, measured beside real text, with latencies.
    """

    label: str
    sampler: str
    settings: dict[str, Any]
    text: TextRow


@dataclass(frozen=True, repr=False)
class SweepResult(Result):
    """The whole report as data.

    Attributes:
        plan: The plan, every key resolved.
        rows: All rows, in the plan's order.
        configurations: Finished rows grouped over seeds.
        samples: Ways to sample that were tried.
        controls: What the numbers have to be compared with.
        held_out: Source, split, fingerprint, documents, bytes, window, draws; empty if nothing was scored.
        warnings: What to know about the numbers.
        setup: Command, date, hardware, versions.
        curves: Row label -> rows of its ``metrics.jsonl``.
        folder: Where the report was written.
        decisions: What the plan's rules say.
    """

    plan: dict[str, Any]
    rows: list[SweepRow]
    configurations: list[Configuration]
    samples: list[SampleRow]
    controls: list[Control]
    held_out: dict[str, Any]
    warnings: list[str]
    setup: dict[str, Any]
    curves: dict[str, list[dict[str, Any]]]
    folder: str
    decisions: list[Decision] = field(default_factory=list)

    def _facts(self) -> tuple[str, ...]:
        ended = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        return (f"{counted(len(self.rows), 'row')} ({ended})", f"report in {self.folder}")

    @property
    def counts(self) -> dict[str, int]:
        """How many rows ended in each status."""
        return dict(Counter(row.status for row in self.rows))

    @property
    def failed(self) -> list[SweepRow]:
        """The rows that failed."""
        return [row for row in self.rows if row.status == "failed"]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {"format": 1, "counts": self.counts, **super().to_dict()}
