"""The ledger: every idea that was tried, its control, its effect with an interval, and the verdict that follows.

    python -m benchmarks.studies.ledger.write            # writes docs/studies/ledger.md from ledger.yaml and results
    python -m benchmarks.studies.ledger.write --check    # exit status 1 if the page is not what the results say

Nobody writes an effect or a verdict by hand. ``ledger.yaml`` names the idea, the row and the control; both are read
from a results file. With seeds the effect is the difference of means with Welch's t interval; with timed turns it is
the mean ratio with Student's. Interval above nothing: helps; below: hurts; across: no difference shown. A single value
a side is a lead and says so. Ideas that did not help stay.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.lib.places import DOCS, RESULTS
from unmask.evaluation.intervals import seed_difference, seed_interval

PAGE = DOCS / "studies" / "ledger.md"
ENTRIES = Path(__file__).parent / "ledger.yaml"
KEYS = {
    "idea",
    "source",
    "file",
    "row",
    "control",
    "promise",
    "table",
    "column",
    "steps",
    "measure",
    "better",
    "budget",
}
KEYS |= {"note"}


@dataclass(frozen=True)
class Effect:
    """What an idea did.

    Attributes:
        value: Difference to the control, or ratio to it.
        interval: 95 % interval; ``None`` where there is one value a side.
        nothing: The value that means no effect: 0 for a difference, 1 for a ratio.
        counts: How many values a side.
        sides: Mean of the row and of the control.
    """

    value: float
    interval: tuple[float, float] | None
    nothing: float
    counts: str
    sides: str

    def verdict(self, better: str) -> str:
        """Return the verdict in the page's words."""
        if self.interval is None:
            return "a lead: one value a side"
        low, high = self.interval
        if low <= self.nothing <= high:
            return "no difference shown"
        return "helps" if (high < self.nothing) == (better == "lower") else "hurts"


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    page = render(yaml.safe_load(ENTRIES.read_text(encoding="utf-8")))
    if chosen.check:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page
        if not same:
            print(
                "docs/studies/ledger.md is not what the results say; run: python -m benchmarks.studies.ledger.write",
                file=sys.stderr,
            )
        return 0 if same else 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


def render(entries: list[dict[str, Any]]) -> str:
    """Return the page."""
    lines = [
        "# The ledger of ideas",
        "",
        "**Question.** Of all ideas that were tried here, which help, against which control, and how sure is that?",
        "",
        "**How to read it.** An effect is the idea minus its control, or over it for times, with a 95 % interval:",
        "Welch's t over seeds, Student's t over timed turns. The verdict follows from the interval alone. An",
        "interval across nothing says *no difference shown*, which is not the same as none. What did not help stays",
        "here.",
        "",
        "Upper bounds pay for the",
        "[lengths of windows](../concepts/likelihood.md#what-a-bidirectional-model-is-told-and-pays-for) since",
        "2026-11-30. What that is on the documents of a table was added to those measured before.",
        "",
        "The page is made from `ledger.yaml` beside the script and from the results; a test keeps it true:",
        "",
        "```bash",
        "python -m benchmarks.studies.ledger.write",
        "```",
        "",
    ]
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        if unknown := set(entry) - KEYS - {"group"}:
            raise SystemExit(f"ledger.yaml: unknown key {sorted(unknown)[0]!r} in {entry.get('idea')!r}")
        groups.setdefault(entry["group"], []).append(entry)
    for group, members in groups.items():
        lines += [f"## {group}", ""]
        lines += ["| idea | control | measure | idea / control | effect | 95 % interval | values | budget | verdict |"]
        lines += ["|---|---|---|---|---|---|---|---|---|"]
        lines += [_line(entry) for entry in members]
        notes = [f"- *{entry['idea']}*: {entry['note']}" for entry in members if entry.get("note")]
        lines += ["", *notes, ""] if notes else [""]
    return "\n".join(lines)


def _line(entry: dict[str, Any]) -> str:
    effect = measure(entry)
    span = "-" if effect.interval is None else f"{effect.interval[0]:+.3f} to {effect.interval[1]:+.3f}"
    if effect.nothing == 1:
        span = "-" if effect.interval is None else f"{effect.interval[0]:.2f}x to {effect.interval[1]:.2f}x"
    value = f"{effect.value:.2f}x" if effect.nothing == 1 else f"{effect.value:+.3f}"
    idea = f"{entry['idea']} ({entry['source']})" if entry.get("source") else entry["idea"]
    control = entry.get("control", entry.get("promise", ""))
    cells = [idea, control, f"{entry['measure']}, {entry['better']} is better", effect.sides, value, span]
    cells += [effect.counts, entry["budget"], f"**{effect.verdict(entry['better'])}**"]
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def measure(entry: dict[str, Any]) -> Effect:
    """Return an entry's effect from its results file."""
    stored = json.loads((RESULTS / entry["file"]).read_text(encoding="utf-8"))
    if "promise" in entry:
        goal = next(goal for goal in stored["goals"] if goal["promise"] == entry["promise"])
        samples = _sound(np.asarray(goal["samples"], dtype=np.float64), f"{entry['promise']!r}")
        return Effect(float(samples.mean()), seed_interval(samples), 1.0, f"{len(samples)} turns", "")
    if "table" in entry:
        table = next(rows for title, rows in stored["tables"].items() if entry["table"] in title)
        return _single([_cell(table, entry[side], entry["column"]) for side in ("row", "control")], entry)
    if entry["row"] in stored["rows"]:
        return _single([float(stored["rows"][entry[side]][entry["column"]]) for side in ("row", "control")], entry)
    read = (entry.get("column", "bits_per_byte"), entry.get("steps"))
    a, b = (seeds(stored, entry[side], *read) for side in ("row", "control"))
    sides = f"{a.mean():.3f} / {b.mean():.3f}"
    return Effect(float(a.mean() - b.mean()), seed_difference(a, b), 0.0, f"{len(a)} and {len(b)} seeds", sides)


def _single(pair: list[float], entry: dict[str, Any]) -> Effect:
    """Return the effect where there is one value a side."""
    _sound(np.array(pair), f"{entry['column']} of {entry['row']!r}")
    return Effect(pair[0] - pair[1], None, 0.0, "1 and 1", f"{pair[0]:.3f} / {pair[1]:.3f}")


def seeds(stored: dict[str, Any], row: str, column: str = "bits_per_byte", steps: int | None = None) -> np.ndarray:
    """Return a column of a row's seeds; their keys are ``row | seed N``, with ``| S steps`` where there are several."""
    behind = r"( \|.*)?" if steps is None else rf" \| {steps} steps"
    found = [
        entry[column]
        for key, entry in sorted(stored["rows"].items())
        if re.fullmatch(re.escape(row) + r" \| seed \d+" + behind, key)
    ]
    if not found:
        raise SystemExit(f"ledger.yaml: no row {row!r} in the results")
    return _sound(np.asarray(found, dtype=np.float64), f"{column} of {row!r}")


def _sound(values: np.ndarray, what: str) -> np.ndarray:
    """Return values that a verdict may rest on."""
    if not np.isfinite(values).all():
        raise SystemExit(f"ledger.yaml: {what} holds a value that is not finite; nothing follows from it")
    return values


def _cell(table: list[dict[str, Any]], row: str, column: str) -> float:
    return float(next(line for line in table if row in line.values())[column])


if __name__ == "__main__":
    sys.exit(main())
