"""Which ways of writing no other beats in both quality and time, and the table of docs/studies/tune.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.lib.cells import Rows, grid
from unmask.sweeps.bench import LEAST_ENTROPY, MORE_REPEATS

BATCHES = (1, 8)
ARIA = tuple(f"steps={count}" for count in (8, 12, 16))
ARIA += tuple(f"steps=32 confidence_stop={level}" for level in (0.95, 0.98, 0.99))
"""Settings of ``confidence`` on a masked canvas that Aria swept."""


def collapsed(row: Mapping[str, Any], real: Mapping[str, Any]) -> bool:
    """Return whether a row's texts say less, or repeat more, than `unmask tune` allows."""
    poor = row["entropy, bits a word"] < LEAST_ENTROPY * real["entropy, bits a word"]
    return bool(poor or row["repeated 4-grams"] > real["repeated 4-grams"] + MORE_REPEATS)


def fronts(rows: Mapping[str, Any], batch: int) -> list[str]:
    """Return the names of what no other beats in both, fastest first."""
    real = rows["real text"]
    front: list[str] = []
    for name, row in sorted(rows.items(), key=lambda each: each[1].get(f"ms, batch {batch}", 0.0)):
        bits = row["judge, bits per byte"]
        best = rows[front[-1]]["judge, bits per byte"] if front else float("inf")
        if name != "real text" and not collapsed(row, real) and bits < best:
            front.append(name)
    return front


def table(found: Mapping[str, Any]) -> Rows:
    """Return both fronts, left to right, Aria's sweeps and real text; all others are in the file."""
    rows = found["rows"]
    on = {batch: fronts(rows, batch) for batch in BATCHES}
    wanted = {*(f"masked: confidence {one}" for one in ARIA), *on[1], *on[8]}
    shown = [name for name, row in rows.items() if name in wanted or row["sampler"] in ("autoregressive", "")]

    def where(name: str) -> str:
        if collapsed(rows[name], rows["real text"]):
            return "collapsed"
        return " and ".join(str(batch) for batch in BATCHES if name in on[batch])

    def time(name: str, batch: int) -> str:
        value = rows[name].get(f"ms, batch {batch}")
        return "" if value is None else f"{value:,.0f}"

    columns = {
        "ms, batch 1": lambda name: time(name, 1),
        "ms, batch 8": lambda name: time(name, 8),
        "judge": lambda name: f"{rows[name]['judge, bits per byte']:.3f}",
        "entropy": lambda name: f"{rows[name]['entropy, bits a word']:.3f}",
        "repeats": lambda name: f"{rows[name]['repeated 4-grams']:.3f}",
        "front": where,
    }
    return grid("written by", {name: name for name in shown}, columns)
