"""The tables of docs/studies/qcontroller.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.lib.cells import Rows, Table

NAMES = {
    "mended, alpha 0.5, gamma 0": "mended, α 0.5, γ 0",
    "mended, alpha 0.5, gamma 0, on cosine": "the same on cosine",
}
CONTROLS = ("original at random", "random", "always x0.8", "always x1.25", "best fixed action")


def _name(way: str) -> str:
    return f"*control:* {way}" if way in CONTROLS else NAMES.get(way, way)


def rates(head: str, optimiser: str) -> Callable[[Any], Rows]:
    """Return what makes the table of an optimiser."""

    def made(found: Any) -> Rows:
        rows = found[optimiser]["rows"]
        ends = ("all rates", "best rate")
        rate = [key for key in rows[0] if key[0].isdigit()]
        return [
            {head: _name(row["way"])}
            | {f"{float(key):.2g}": row[key] for key in rate}
            | {end: row[end] for end in ends}
            | {"near": row["within 0.25"]}
            for row in rows
        ]

    return made


def against(found: Any) -> Rows:
    """Return differences over all rates, seed by seed."""
    columns = {"SGD": "sgd", "AdamW": "adamw"}
    pairs = [(row["way"], row["against"]) for row in found["sgd"]["against"]]

    def cell(optimiser: str, pair: tuple[str, str]) -> str:
        row = next(row for row in found[optimiser]["against"] if (row["way"], row["against"]) == pair)
        return f"{row['difference, bits']} ({row['seeds it is better in'].split()[0]})"

    head = "all rates, seed by seed: difference in bits (seeds in which it is better, of 5)"
    return [
        {head: f"{pair[0].replace('alpha', 'α').replace('gamma', 'γ')} against {pair[1]}"}
        | {label: cell(optimiser, pair) for label, optimiser in columns.items()}
        for pair in pairs
    ]


TABLES = {
    "qcontroller-sgd": Table("qcontroller.json", rates("SGD, momentum 0.9", "sgd")),
    "qcontroller-adamw": Table("qcontroller.json", rates("AdamW", "adamw")),
    "qcontroller-against": Table("qcontroller.json", against),
}
