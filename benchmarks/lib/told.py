"""A result as markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lib.measure import Result


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
