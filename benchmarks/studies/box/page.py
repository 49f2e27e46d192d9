"""The tables of docs/studies/box.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, bits, grid, span


def likelihood(found: Any) -> Rows:
    """Return what each side of the weights needs for held-out stories."""
    rows = found["likelihood"]
    columns = {
        "bits per byte": lambda name: bits([rows[name]]),
        "95 %": lambda name: span(rows[name]["interval"]),
        "kind": lambda name: rows[name]["bound"],
    }
    return grid("side", {name: name for name in rows}, columns)


def judged(found: Any) -> Rows:
    """Return what a judge says of texts, and how fast they are written."""
    rows, speed = found["judged"], found["speed"]

    def rate(name: str) -> str:
        return f"{speed[name]['tokens_per_s']['median']:.0f}" if name in speed else ""

    def ratio(name: str) -> str:
        return f"{speed[name]['ratio']['median']:.2f}" if name in speed else ""

    columns = {
        "judge, bits per byte": lambda name: f"{rows[name]['judge']:.3f}",
        "tokens a second": rate,
        "times left to right": ratio,
    }
    return grid("written by", {name: name for name in rows}, columns)


def samples(found: Any) -> Rows:
    """Return the ten texts."""
    return [
        {
            "prompt": row["prompt"],
            "in blocks": _flat(row["blocks"]),
            "left to right": _flat(row["left_to_right"]),
        }
        for row in found["samples"]
    ]


def infills(found: Any) -> Rows:
    """Return the ten filled sentences."""
    rows = found["infills"]
    return [{"with holes": row["holes"], "filled": row["filled"], "original": row["original"]} for row in rows]


def cost(found: Any) -> Rows:
    """Return what it takes."""
    told, wait = found["box"], found["wait"]
    return [
        {"": "parameters", "is": f"{told['parameters']:,}"},
        {"": "files", "is": f"{told['bytes'] / 1e6:.1f} MB"},
        {"": "learned", "is": f"{told['tokens_seen']:,} tokens in {told['train_seconds'] / 60:.0f} minutes"},
        {"": "from a cold process to its first word", "is": f"{wait['later']['median']:.1f} s"},
    ]


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


TABLES = {
    "box-cost": Table("box.json", cost),
    "box-likelihood": Table("box.json", likelihood),
    "box-judged": Table("box.json", judged),
    "box-samples": Table("box.json", samples),
    "box-infills": Table("box.json", infills),
}
