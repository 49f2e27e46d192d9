"""The table of docs/studies/evidence.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table


def behind(found: Any) -> Rows:
    """Return bits behind the query without evidence, and what each kind of it gains."""

    def gain(entry: dict[str, Any], kind: str) -> str:
        told = entry["conditions"][kind]
        low, high = told["gain_interval"]
        return f"{told['gain'] + 0.0:.4f} ({low + 0.0:.4f} to {high + 0.0:.4f})"

    return [
        {
            "row": row.replace(" | ", ", "),
            "documents scored": str(entry["documents"]),
            "none": f"<= {entry['conditions']['none']['bits_per_byte']:.4f}",
            "true: gain (95 % interval)": gain(entry, "true"),
        }
        | {kind: gain(entry, kind) for kind in ("shuffled", "random", "leak")}
        for row, entry in found["rows"].items()
    ]


TABLES = {"evidence": Table("evidence.json", behind, said={"repeats": "one seed"})}
