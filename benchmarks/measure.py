"""How the benchmarks measure: rivals take turns, so that noise hits all of them, and every number has its spread.

A result is one JSON file: the rows, the goals, and the command, machine, date and versions behind them.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "numpy")


@dataclass(frozen=True)
class Options:
    """What the command line says to every benchmark.

    Attributes:
        quick: Tiny sizes and one or two repeats: does it run at all?
        repeats: Turns of each rival; ``None``: the benchmark's own number.
        run: A run folder, for the benchmarks that need trained weights.
    """

    quick: bool = False
    repeats: int | None = None
    run: Path | None = None

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


def hardware() -> dict[str, Any]:
    """Return what the numbers were taken on."""
    import torch

    found: dict[str, Any] = {
        "cpu": _processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": round(os.getloadavg()[0], 2),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of unmask, Python and what they stand on."""
    import unmask

    found = {"unmask": unmask.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def stamp(command: str) -> dict[str, Any]:
    """Return what belongs to every stored result."""
    return {
        "command": command,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": versions(),
    }


def store(path: Path, content: dict[str, Any]) -> None:
    """Write JSON aside and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def markdown(result: Result, quick: bool) -> str:
    """Return a result as markdown; a quick one is not judged."""
    lines = [f"## {result.name}", ""]
    if result.rows:
        rows = [row.to_dict() for row in result.rows]
        lines += table(
            [
                {
                    "case": row["case"],
                    "median": f"{number(row['median'])} {row['unit']}",
                    "quartiles": " to ".join(map(number, row["quartiles"])),
                    "repeats": row["repeats"],
                }
                for row in rows
            ]
        )
    for heading, content in result.tables.items():
        lines += ["", f"{heading}:", "", *table(content)]
    lines.append("")
    for goal in result.goals:
        found = goal.to_dict()
        verdict = {True: "met", False: "MISSED", None: "told, not promised"}[goal.met]
        verdict = "too small to judge" if quick else verdict
        spread = " to ".join(map(number, found["quartiles"]))
        lines.append(f"- {goal.promise}: **{number(found['median'])}{goal.unit}** ({spread}): {verdict}")
    lines += [f"- note: {note}" for note in result.notes]
    return "\n".join(lines)


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a markdown table; the keys of the first row are its head."""
    if not rows:
        return []
    heads = list(rows[0])
    cells = [
        [number(v) if isinstance(v, float) else "-" if v is None else str(v) for v in row.values()] for row in rows
    ]
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *("| " + " | ".join(c) + " |" for c in cells)]


def number(value: float) -> str:
    """Return a number with three or four figures that mean something."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
