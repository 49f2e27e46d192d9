"""The table of docs/studies/script-aware.md."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, percent, seeds_of, spread

KINDS = {"Hindi": "stories-hi", "Hinglish": "hinglish", "mixed": "mixed-hi-en"}


def script_aware(found: Any) -> Rows:
    """Return bits by kind of text, and what was left broken."""

    def at(row: str) -> list[dict[str, Any]]:
        return seeds_of(found["rows"], row)

    def share(row: str, when: str, key: str) -> str:
        return percent(statistics.mean(entry[when][key] for entry in at(row)), 1)

    columns = {
        label: lambda row, kind=kind: f"<= {spread([entry['bits_per_byte'][kind] for entry in at(row)])}"
        for label, kind in KINDS.items()
    }
    columns |= {
        "broken, as sampled": lambda row: share(row, "as_sampled", "broken_texts"),
        "finished": lambda row: share(row, "finished", "broken_texts"),
        "mixed words": lambda row: share(row, "finished", "mixed_words"),
        "Devanagari apart": lambda row: share(row, "finished", "devanagari_apart"),
        "seeds": lambda row: str(len(at(row))),
    }
    names = sorted(
        {key.split(" | ")[0] for key in found["rows"]}, key=lambda name: (name.split(",")[0], "aware" in name)
    )
    return grid("row", {name: name for name in names}, columns)


TABLES = {"script-aware": Table("indic_script_aware.json", script_aware)}
