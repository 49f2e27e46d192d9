"""The tables of docs/studies/eco.md, eco-slots.md and eco-speed.md."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.cells import Rows, Table, bits, grid, measured, one, seeds_of

OPTIONS = (
    "transformer",
    "transformer, time input",
    "eco, M = 8",
    "eco, M = 16",
    "eco, M = 32",
    "eco, routed top 2",
    "eco, window in every 2nd block",
    "eco, slots read the input",
    "eco, kernel 15",
)


def options(found: Any) -> Rows:
    """Return the bound of each part, and its ratio to the transformer's at the same length."""

    def at(row: str) -> list[dict[str, Any]]:
        return seeds_of(found["rows"], row)

    def of_transformer(row: str) -> str:
        name, length = row.split(", T = ")
        if name == "transformer":
            return ""
        mine, its = (statistics.mean(e["bits_per_byte"] for e in at(r)) for r in (row, f"transformer, T = {length}"))
        return f"{mine / its:.3f}"

    columns = {
        "parameters": lambda row: f"{at(row)[0]['parameters']:,}",
        "bits per byte": lambda row: bits(at(row)),
        "of the transformer's": of_transformer,
        "seeds": lambda row: str(len(at(row))),
    }
    rows = {name: f"{name}, T = 512" for name in OPTIONS}
    rows |= {f"{name}, 2048 tokens a text": f"{name}, T = 2048" for name in ("transformer", "eco, M = 16")}
    return grid("row", rows, columns)


SLOTS = {
    "eco": "eco, 1 facts",
    "the same, slots zeroed": "slots zeroed, 1 facts",
    "the same, slots of another text": "slots of another text, 1 facts",
    "eco trained with its slots zeroed": "trained without slots, 1 facts",
    "transformer": "transformer, 1 facts",
}


def slots(found: Any) -> Rows:
    """Return the share of right answers, seed by seed."""
    rows = found["rows"]
    columns = {"seeds 0, 1, 2": lambda row: ", ".join(f"{e['accuracy']:.3f}" for e in seeds_of(rows, row))}
    return grid("share of right answers", SLOTS, columns)


LENGTHS = (256, 512, 1024, 2048, 4096, 8192)


def against_transformer(found: Any) -> Rows:
    """Return the transformer's time over eco's; quartiles where they are a quarter of the median apart."""
    promise = {2048: ", >= 1.4x", 8192: ", >= 2.5x"}
    columns = {
        ("T = " if n == LENGTHS[0] else "") + str(n): lambda case, n=n: measured(
            one(found["goals"], promise=f"{case}, T = {n}: transformer / eco{promise.get(n, '')}"), ".1f", "x", 0.25
        )
        for n in LENGTHS
    }
    cases = [f"{size}, {way}" for size in ("nano", "small") for way in ("forward", "training step")]
    return grid("transformer's time / eco's", {case: case for case in cases}, columns)


def without_attention(found: Any) -> Rows:
    """Return eco's speed as a share of the transformer's that has lost its attention."""
    ends = {
        "without attention": "the transformer's without attention, >= 80 %",
        "nor projections": "the transformer's without attention and its projections",
    }
    columns = {
        ("T = " if n == LENGTHS[0] else "") + str(n): lambda key, n=n: measured(
            one(found["goals"], promise=f"{key[0]}, T = {n}: eco's speed, of {key[1]}"), ".0f", " %", 0.25
        )
        for n in LENGTHS
    }
    rows = {
        f"{size}, {way}: {label}": (f"{size}, {way}", end)
        for size in ("nano", "small")
        for way in ("forward", "training step")
        for label, end in ends.items()
    }
    return grid("eco's speed, of the transformer's", rows, columns)


PARTS = {
    "convolution: `Conv1d` between two transposes / ours": "convolution, T = {}: Conv1d / ours",
    "convolution: sum of shifted products / ours": "convolution, T = {}: shifted sums / ours",
    "memory: tokens projected / folded into the slots": "memory, T = {}: projected / folded",
}


def parts(found: Any) -> Rows:
    """Return other ways to compute its parts over ours."""
    columns = {
        ("T = " if n == 512 else "") + str(n): lambda promise, n=n: measured(
            one(found["goals"], promise=promise.format(n)), ".2f", "x"
        )
        for n in (512, 1024, 2048, 4096)
    }
    return grid("", PARTS, columns)


TABLES = {
    "eco-options": Table("ablate_eco.json", options),
    "eco-slots": Table("eco_probe.json", slots),
    "eco-speed": Table("eco_scaling.json", against_transformer),
    "eco-speed-without": Table("eco_scaling.json", without_attention),
    "eco-parts": Table("eco_parts.json", parts),
}
