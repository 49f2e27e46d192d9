"""How the benchmarks measure: rivals take turns, so that noise hits all of them, and every number has its spread."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """What the command line says to every benchmark.

    Attributes:
        quick: Tiny sizes and one or two repeats: does it run at all?
        repeats: Turns of each rival; ``None``: the benchmark's own number.
        runs: Run folders, for the benchmarks that need trained weights.
        peers: The folder that packages to compare with were installed into.
        seconds: How long clients of a server ask; ``None``: the benchmark's own number.
        clients: How many ask at once, one measurement each; none: the benchmark's own.
    """

    quick: bool = False
    repeats: int | None = None
    runs: tuple[Path, ...] = ()
    peers: Path | None = None
    seconds: float | None = None
    clients: tuple[int, ...] = ()

    @property
    def run(self) -> Path | None:
        """The run, for a benchmark that takes one."""
        return self.runs[0] if self.runs else None

    def turns(self, usual: int) -> int:
        """Return the number of turns of each rival."""
        return self.repeats or (2 if self.quick else usual)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some numbers."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Summarise; with fewer than four numbers the quartiles are the extremes."""
        if len(samples) < 4:
            return cls(statistics.median(samples), min(samples), max(samples))
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True)
class Row:
    """One measured case. ``unit`` is ``tok/s`` (more is better), ``s`` or ``ms`` (less is better)."""

    case: str
    unit: str
    samples: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Return the row with its median and quartiles."""
        spread = Spread.of(self.samples)
        return {
            "case": self.case,
            "unit": self.unit,
            "median": spread.median,
            "quartiles": [spread.low, spread.high],
            "repeats": len(self.samples),
            "samples": self.samples,
        }


@dataclass(frozen=True)
class Goal:
    """A promise and what became of it, one number a turn, of which the median counts.

    Attributes:
        promise: In words, with the number that was promised.
        samples: The quantity, turn by turn.
        least: Smallest median that keeps the promise, if it has one.
        most: Largest median that keeps the promise, if it has one. Neither: it is told, not promised.
        unit: Printed behind the number.
    """

    promise: str
    samples: list[float]
    least: float | None = None
    most: float | None = None
    unit: str = "x"

    @property
    def met(self) -> bool | None:
        """Whether the promise is kept; ``None`` if nothing was promised."""
        if self.least is None and self.most is None:
            return None
        median = Spread.of(self.samples).median
        return (self.least is None or median >= self.least) and (self.most is None or median <= self.most)

    def to_dict(self) -> dict[str, Any]:
        """Return the goal with median and quartiles."""
        spread = Spread.of(self.samples)
        return {
            "promise": self.promise,
            "median": spread.median,
            "quartiles": [spread.low, spread.high],
            "unit": self.unit,
            "met": self.met,
            "samples": self.samples,
        }


@dataclass
class Result:
    """What one benchmark found.

    Attributes:
        name: Of the benchmark.
        settings: Sizes and whatever else one must know to repeat it.
        rows: Measured cases.
        goals: Promises.
        notes: What a reader has to know.
        tables: Further tables, by heading: lists of equal dictionaries.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "settings": self.settings,
            "rows": [row.to_dict() for row in self.rows],
            "goals": [goal.to_dict() for goal in self.goals],
            "notes": self.notes,
            "tables": self.tables,
        }


def say(text: str) -> None:
    """Tell the reader on stderr what goes on."""
    print(text, file=sys.stderr, flush=True)


def timed(action: Callable[[], object], times: int = 1) -> float:
    """Return the seconds that ``times`` calls take together."""
    began = time.perf_counter()
    for _ in range(times):
        action()
    return time.perf_counter() - began


def take_turns(cases: Mapping[str, Callable[[], float]], turns: int) -> dict[str, list[float]]:
    """Call each case once a turn, every other turn in reverse order, so that a slow drift cancels out.

    Args:
        cases: Name -> a function that measures once and returns a number.
        turns: How often each case is called.

    Returns:
        The numbers of each case; numbers at the same place were taken side by side.
    """
    found: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for turn in range(turns):
        for name in names if turn % 2 == 0 else reversed(names):
            found[name].append(cases[name]())
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of numbers that were taken side by side."""
    return [a / b for a, b in zip(above, below, strict=True)]
