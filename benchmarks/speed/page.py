"""The table of docs/studies/training-memory.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, grid


def memory(found: Any) -> Rows:
    """Return the estimate of a training's memory beside what was measured."""
    columns = {
        "estimated, MB": lambda row: f"{row['estimate'] / 1e6:,.0f}",
        "measured, MB": lambda row: f"{row['measured'] / 1e6:,.0f}",
        "estimated / measured": lambda row: f"{row['ratio']:.2f}",
    }
    return grid("recipe", {f"`{row['recipe']}`": row for row in found["rows"]}, columns)


TABLES = {"training-memory": Table("train_memory.json", memory, said={"repeats": "one run"})}
