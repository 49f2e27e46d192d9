"""The tables of docs/studies/byte-energy.md and rerank.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.lib.cells import Rows, Table, as_stored, one


def stored(title: str) -> Callable[[Any], Rows]:
    """Return what shows a table of the file as it is."""
    return lambda found: as_stored(found["tables"][title])


def rerank(found: Any) -> Rows:
    """Return the rank of the right text under each order, by set of questions."""
    sets = {row["set"]: row for row in found["rows"]}

    def cell(name: str, way: str) -> str:
        row = one(found["rows"], set=name, rerank=way)
        return f"{row['MRR']:.3f}" + (f" ({row['gain']})" if row["gain"] else "")

    def time(way: str) -> str:
        spent = [row["ms a query"] for row in found["rows"] if row["rerank"] == way and row["ms a query"] is not None]
        return f"{min(spent):.0f} to {max(spent):.0f}" if spent else "-"

    return [
        {"rerank": way}
        | {f"{name}, {row['queries']} queries, {row['texts']:,} texts": cell(name, way) for name, row in sets.items()}
        | {"ms a query": time(way)}
        for way in dict.fromkeys(row["rerank"] for row in found["rows"])
    ]


TABLES = {
    "byte-energy-wrong": Table("bytewise.json", stored("Real texts against wrong ones, AUC")),
    "byte-energy-together": Table(
        "bytewise.json", stored("Sentences that follow each other against spliced ones, AUC")
    ),
    "byte-energy-codes": Table("bytewise.json", stored("Codes of held-out sentences, mean distances")),
    "byte-energy-rerank": Table("bytewise.json", stored("Reranking the first 50")),
    "rerank": Table("rerank.json", rerank, said={"repeats": "intervals over queries"}),
}
