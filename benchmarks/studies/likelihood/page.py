"""The table of docs/studies/window-lengths.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, grid

ROWS = {
    "ablations of masked and sparse": ("ablations of masked and sparse, T = 128", "128, 2048"),
    "ablations of eco": ("ablations of eco, T = 512", "512, 2048"),
    "ablations of eco, long texts": ("ablations of eco, T = 2048", "2048, 2048"),
    "ablations of thoughts": ("ablations of thoughts, T = 512", "512, 2048"),
    "comparison, nano": ("comparison at nano size", "128, 2048"),
    "comparison, small": ("comparison at small size", "128, 4096"),
}
"""Where -> the stored row, and the context and vocabulary of its runs."""


def lengths(found: Any) -> Rows:
    """Return what the lengths of windows cost on the documents of the tables."""
    rows = found["rows"]
    columns = {
        "documents": lambda key: str(rows[key[0]]["documents"]),
        "context, ids": lambda key: key[1],
        "window, bytes": lambda key: f"{rows[key[0]]['window']:,}",
        "entropy of the count, bits a window": lambda key: f"{rows[key[0]]['entropy, bits a window']:.2f}",
        "paid, bits a window": lambda key: f"{rows[key[0]]['paid, bits a window']:.2f}",
        "paid, bits a byte": lambda key: f"{rows[key[0]]['paid, bits a byte']:.4f}",
        "before 2026-11-30": lambda key: f"{rows[key[0]]['before, bits a byte']:.4f}",
    }
    return grid("tables", ROWS, columns)


TABLES = {"window-lengths": Table("window_lengths.json", lengths, said={"repeats": "nothing is drawn"})}
