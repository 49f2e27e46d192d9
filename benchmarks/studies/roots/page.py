"""The tables of docs/studies/roots.md and roots-grep.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, measured, one

LATENCY = {
    "index, 5 % of the texts": "index, 5 % of the texts",
    "index, 10 %": "index, 10 % of the texts",
    "brute force, numpy float32": "brute force, numpy float32, one thread",
    "faiss, flat": "faiss flat, one thread",
}


def latency(found: Any) -> Rows:
    """Return milliseconds a query over a million vectors."""
    column = {
        "1,000,000 synthetic vectors, 256 shelves": lambda case: measured(
            one(found["rows"], case=f"1,000,000 vectors: {case}"), ".3g", " ms"
        )
    }
    return grid("", LATENCY, column)


def core(found: Any) -> Rows:
    """Return what a core holds for a million vectors."""
    rows = found["tables"]["the core"]
    vectors = found["settings"]["vectors"] * found["settings"]["width"]
    order = [("float16", 4), ("int8", 4), ("float16", 0), ("int8", 0), ("grep's bitmaps and counts, apart", None)]

    def line(name: str, rank: int | None) -> dict[str, str]:
        row = one(rows, core=name, **{"sketch rank": rank})
        size = row["core bytes"]
        int8 = row["int8 vectors / core"]
        return {
            "core": f"{name} (default)" if (name, rank) == order[0] else name,
            "sketch rank": "" if rank is None else str(rank),
            "bytes": f"{size:,}",
            "a shelf": f"{row['bytes a shelf']:,.0f}",
            "float32 vectors / core": f"{4 * vectors / size:,.0f}",
            "int8 vectors / core": "-" if int8 is None else f"{int8:,.0f}",
        }

    return [line(*key) for key in order]


def rounding(found: Any) -> Rows:
    """Return recall with a core of float32, float16 and int8."""
    rows = found["tables"]["rounding the core, pydocs, moments router"]
    cores = ("float32", "float16", "int8")

    def cell(rank: int, column: str) -> str:
        return " / ".join(f"{one(rows, core=core, **{'sketch rank': rank})[column]:.3f}" for core in cores)

    return [
        {"sketch rank": str(rank), "core": " / ".join(cores)}
        | {label: cell(rank, column) for label, column in (("5 %", "recall, 5 %"), ("10 %", "10 %"), ("20 %", "20 %"))}
        for rank in (0, 4)
    ]


def prominence(found: Any) -> Rows:
    """Return what a prior by prominence does to the task."""

    def line(row: dict[str, Any]) -> dict[str, str]:
        none = row["prior"] == "none"
        weight = row["weight chosen on half"]
        return {
            "prior": row["prior"],
            "chosen weight": "-" if none else f"{weight:g}",
            "hit at 10": f"{row['hit at 10, other half']:.3f}",
            "change": "" if none else f"{row['change']:.3f} +- {row['its error']:.3f}" if weight else "0",
            "correlation with log length": "" if none else f"{row['correlation with log length']:.2f}",
        }

    return [line(row) for row in found["tables"]["prominence as a prior, pydocs pairs"]]


def grep(found: Any) -> Rows:
    """Return the share of bytes that a substring search need not read."""
    heads = {
        "counts alone": "counts alone",
        "bigrams": "2-grams",
        "hashed 3-grams": "3-grams",
        "hashed 4-grams": "4-grams",
        "perfect": "shelves that hold it",
    }
    return [
        {"pattern": row["pattern"]}
        | {head: "-" if row[key] is None else f"{row[key]:.2f}" for head, key in heads.items()}
        for row in found["tables"]["share of bytes that grep does not read"]
    ]


TABLES = {
    "roots-latency": Table("roots_size.json", latency),
    "roots-core": Table("roots_size.json", core, said={"repeats": "nothing is drawn"}),
    "roots-rounding": Table("roots_size.json", rounding, said={"repeats": "1,000 sentences"}),
    "roots-prominence": Table("roots_size.json", prominence),
    "roots-grep": Table("roots_size.json", grep, said={"repeats": "200 patterns each"}),
}
