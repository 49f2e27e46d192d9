"""The tables of docs/studies/energies.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def known(found: Any) -> Rows:
    """Return what each part gives beside the truth."""
    return [
        {"world": row["world"], "what": row["what"], "truth": _short(row["truth"])}
        | {f"seed {seed}": _short(row[f"seed {seed}"]) for seed in found["seeds"]}
        | {"error": _short(row["standard error"])}
        for row in found["tables"]["against the truth"]
    ]


def scores(found: Any) -> Rows:
    """Return the error of a learned score by level of noise."""
    rows = found["tables"]["relative squared error of the score"]
    return [
        {"sigma": label} | {_short(row["sigma"]): f"{row[key]:.3f}" for row in rows}
        for label, key in (("trained", "network"), ("Gaussian", "Gaussian"))
    ]


def speed(found: Any) -> Rows:
    """Return seconds of a Gibbs sweep: median, and least."""
    rows = found["tables"]["speed"]
    cases = {
        "Ising, 1 chain": ("Ising", 1),
        "Ising, 8 chains": ("Ising", 8),
        "Potts, Q = 16, 1 chain": ("Potts, 16 values", 1),
    }

    def sweep(graph: tuple[int, str], case: tuple[str, int]) -> str:
        fits = [r for r in rows if (r["nodes"], r["graph"]) == graph and (r["energy"], r["chains"]) == case]
        return f"{fits[0]['sweep, s (median)']:.3g} ({fits[0]['least']:.2g})" if fits else ""

    made = []
    for graph in dict.fromkeys((row["nodes"], row["graph"]) for row in rows):
        first = next(row for row in rows if (row["nodes"], row["graph"]) == graph)
        made.append(
            {
                "nodes": f"{graph[0]:,}",
                "graph": graph[1],
                "pairs": f"{first['pairs']:,}",
                "colours": str(first["colours"]),
                "build": f"{first['build, s']:.3g}",
                "colour": f"{first['colour, s']:.3g}",
            }
            | {label: sweep(graph, case) for label, case in cases.items()}
        )
    return made


TABLES = {
    "energies-known": Table("energies.json", known),
    "energies-scores": Table("energies.json", scores),
    "energies-speed": Table("energies.json", speed, said={"repeats": "medians of 9"}),
}
