"""The table of docs/studies/intervals.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, one

WORLDS = {
    "normal rates": "normal",
    "skewed rates (exponential)": "skewed",
    "sizes that differ 50-fold": "uneven sizes",
    "`stories-en` under an n-gram": "stories-en, order 5",
    "`stories-en`, two rivals": "stories-en, order 3 less order 5",
    "`pydocs` under an n-gram": "pydocs, order 5",
    "`pydocs`, two rivals": "pydocs, order 3 less order 5",
}


def coverage(found: Any) -> Rows:
    """Return how often an interval holds the truth, in percent."""
    rows = found["tables"]["documents"]
    counts = sorted({row["documents"] for row in rows})
    return [
        {"documents": label} | {str(n): f"{one(rows, world=world, documents=n)[way]:.1f}" for n in counts}
        for name, world in WORLDS.items()
        for label, way in ((f"{name}: **ours**", "ours"), ("*bootstrap*", "bootstrap"))
    ]


TABLES = {"intervals": Table("interval_coverage.json", coverage, said={"repeats": "10,000 drawn worlds a cell"})}
