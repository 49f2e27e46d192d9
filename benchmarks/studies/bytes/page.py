"""The tables of docs/studies/bytes.md."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.cells import Rows, Table, seeds_of, spread

TEXT = "shakespeare-train.txt"
ROWS: dict[str, str] = {
    "**No patches**": "",
    "`nano-plain-bytes`: a transformer over bytes": "plain",
    "`patcher: none`": "every byte a patch",
    "**What cuts** (a transformer of two blocks between)": "",
    "every 4 bytes": "fixed 4",
    "*control:* babylon's lengths anywhere": "random, babylon's lengths",
    "babylon, n-gram entropy (`nano-bytes`)": "babylon",
    "delimiter (the original's)": "delimiter",
    "whitespace": "whitespace",
    "**What is between** (babylon)": "",
    "WuBu levels of 128, 64, 32": "babylon, levels",
    "their flat twin (c = 0)": "babylon, flat levels",
    "one transformer block, as many parameters": "babylon, one block",
    "levels, patches alone (as in Bytropix)": "babylon, levels alone",
    "*control:* nothing": "babylon, nothing between",
    "**The rest** (babylon)": "",
    "no n-gram tables": "babylon, no n-gram tables",
    "flat head": "babylon, flat head",
    "no UTF-8 mask": "babylon, no UTF-8 mask",
}
"""Label -> the stored row; a label without one is a heading."""


def _with(values: list[float]) -> str:
    return spread(values).replace("+-", "±")


def ladder(found: Any) -> Rows:
    """Return the rungs, part by part."""
    made = []
    for label, row in ROWS.items():
        entries = seeds_of(found["rows"], f"{TEXT} | {row}")
        patch = entries[0].get("bytes_per_patch") if entries else None
        made.append(
            {
                "row": label,
                "parameters": f"{entries[0]['parameters']:,}" if entries else "",
                "bytes a patch": (f"{patch:g}" if patch else "-") if entries else "",
                "µs a byte": f"{statistics.mean(e['cpu_us_per_byte'] for e in entries):.0f}" if entries else "",
                "bits per byte": _with([e["bits_per_byte"] for e in entries]) if entries else "",
                "mixed with 5-gram": _with([e["mixed"] for e in entries if "mixed" in e]) if entries else "",
                "seeds": str(len(entries)) if entries else "",
            }
        )
    return made


def counting(found: Any) -> Rows:
    """Return what counting alone has."""
    counted = found["rows"][f"{TEXT} | counting"]
    ways = {"in the same windows": "windows", "the held-out text as a whole": "text"}
    return [
        {"n-gram of order": label} | {str(n): f"{counted[f'order {n}, {end}']:.3f}" for n in range(1, 6)}
        for label, end in ways.items()
    ]


TABLES = {"bytes-ladder": Table("byte_ladder.json", ladder), "bytes-counting": Table("byte_ladder.json", counting)}
