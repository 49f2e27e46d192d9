"""The tables of docs/studies/thoughts.md, thoughts-latent.md and thoughts-memory.md."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.cells import Rows, Table, bits, grid, seeds_of, span, spread

PROBE = {
    "thoughts of 2 x 4 x 8, three deep": "thought",
    "one deep, persistent": "thought, one deep, persistent",
    "one deep, not persistent": "thought, one deep, not persistent",
    "no thought": "no thought",
}
CHANGES = {"absent": "absent", "zeroed": "zeroed", "another text's": "shuffled", "random": "random"}


def probe(found: Any) -> Rows:
    """Return right answers with a run's own thoughts and with others: mean, least and most of the seeds."""

    def cell(row: str, which: str) -> str:
        values = [entry["accuracy"] for entry in seeds_of(found["rows"], f"{row}: {which}, 1 facts")]
        return f"{statistics.mean(values):.3f} ({span(values, '.2f')})" if values else "-"

    columns = {"its own thoughts": "own"} | CHANGES
    return grid(
        "share of right answers",
        PROBE,
        {head: lambda row, which=which: cell(row, which) for head, which in columns.items()},
    )


OPTIONS = {
    "thought": "thought",
    "no thought": "no thought",
    "no thought, without the thought's parameters either (0.82 M)": "no thought, narrow",
    "no passages: attention to all 512 tokens": "whole text",
    "thought, its loss weighs 0.5 as in the original": "thought loss 0.5",
    "thought, no loss of its own": "no thought loss",
    "thought, none of the four losses": "no losses but the text's",
    "thought, a stack of one": "one deep",
    "thought, `predict: v`": "predict v",
    "thought, `saliency: 1`": "saliency 1",
    "thought, its noise `linear` instead of `cosine`": "thought noise linear",
    **{f"thought, its noise `{name}`": f"thought noise {name}" for name in ("sqrt", "sigmoid", "exponential")},
    "thought, the *words'* noise `cosine` instead of `linear`": "text noise cosine",
}


def options(found: Any) -> Rows:
    """Return the bound of each part, and what a change of the thoughts costs."""

    def at(row: str) -> list[dict[str, Any]]:
        return seeds_of(found["rows"], row)

    def later(row: str, which: str, key: str) -> str:
        return spread([entry[f"later, {which}"][key] for entry in at(row) if f"later, {which}" in entry])

    columns = {
        "all": lambda row: bits(at(row)),
        "later passages": lambda row: later(row, "own", "bits_per_byte"),
        **{head: lambda row, which=which: later(row, which, "cost") for head, which in CHANGES.items()},
        "seeds": lambda row: str(len(at(row))),
    }
    return grid("row", OPTIONS, columns)


def latent(found: Any) -> Rows:
    """Return texts with and without the latent pathway, in 16 and in 64 steps."""

    def both(row: str, key: str, digits: int) -> str:
        return "; ".join(f"{found[f'{row}, {steps} steps'][key]:.{digits}f}" for steps in (16, 64))

    columns = {
        "judge, 16 steps; 64 steps": lambda row: both(row, "n-gram judge", 2),
        "entropy": lambda row: both(row, "entropy", 2),
        "distinct-2": lambda row: both(row, "distinct-2", 3),
        "repeated-4": lambda row: both(row, "repeated-4", 3),
    }
    return grid("", {"plain": "plain", "`latent: 0.5`": "latent"}, columns)


def memory(found: Any) -> Rows:
    """Return what training takes by depth; the recipe's own depth is a line through those that were measured."""
    rows = {str(row["layers"]): row for row in found["rows"]}
    columns = {
        "parameters": lambda row: f"{row['parameters'] / 1e6:.0f} M",
        "measured": lambda row: f"{row['bytes'] / 2**30:.2f} GiB",
        "estimated": lambda row: f"{row['estimated'] / 2**30:.2f} GiB",
    }
    whole = {
        "layers": f"{found['depth']}, the recipe's",
        "parameters": "",
        "measured": f"{found['extrapolated_gib']:.1f} GiB, extrapolated",
        "estimated": f"{found['estimated_gib']:.1f} GiB",
    }
    return [*grid("layers", rows, columns), whole]


_LATENT = {
    "command": "unmask evaluate runs/nano-latent --documents 12 --draws 4",
    "hardware": "AMD EPYC, 1 thread",
    "date": "2026-11-26",
    "repeats": "one seed",
}
TABLES = {
    "thoughts-probe": Table("thought_probe.json", probe),
    "thoughts-options": Table("ablate_thought.json", options),
    "thoughts-latent": Table("text_latent.json", latent, said=_LATENT),
    "thoughts-memory": Table("thought_memory.json", memory, said={"repeats": "one run a depth"}),
}
