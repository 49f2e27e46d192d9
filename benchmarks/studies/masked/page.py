"""The tables of docs/studies/masked.md and warm-start.md."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.lib.cells import Rows, Table, bits, grid, seeds_of
from benchmarks.studies.ledger.write import Effect
from unmask.evaluation.intervals import seed_difference

PLAIN, SHIFT = "masked, plain: cross-entropy, uniform t, no shift", "plain + output shift"
WARM, CURRICULUM = "shift + causal warm start 0.4", "shift + warm start 0.4 + curriculum"
AGAINST = {
    "causal": None,
    PLAIN: None,
    **{
        f"plain + {what}": ("plain", PLAIN)
        for what in ("ELBO weight", "cosine schedule", "bell-shaped t", "time input")
    },
    "plain + curriculum from 0.15": ("plain", PLAIN),
    SHIFT: ("plain", PLAIN),
    WARM: ("shift", SHIFT),
    CURRICULUM: ("without curriculum", WARM),
    f"{CURRICULUM} + bell": ("without bell", CURRICULUM),
    "shift + warm start 0.6 + curriculum": ("0.4", CURRICULUM),
    f"{CURRICULUM}, half the batch": ("whole batch", CURRICULUM),
}
"""Row -> the row that it is held against, and how the page calls it."""


def effect(entries: Sequence[dict[str, Any]], control: Sequence[dict[str, Any]]) -> str:
    """Return the verdict of a row and its effect with its interval, by the rules of the ledger."""
    mine, its = (np.array([entry["bits_per_byte"] for entry in each]) for each in (entries, control))
    value = float(statistics.mean(mine) - statistics.mean(its))
    found = Effect(value, seed_difference(mine, its), 0.0, "", "")
    if found.interval is None:
        return "one seed"
    low, high = found.interval
    return f"{found.verdict('lower')}, {value:+.3f} [{low:+.3f}, {high:+.3f}]"


def options(found: Any) -> Rows:
    """Return the bound with each option, and what it does."""
    rows = found["rows"]

    def against(row: str) -> str:
        other = AGAINST[row]
        return f"{other[0]}: {effect(seeds_of(rows, row), seeds_of(rows, other[1]))}" if other else ""

    columns = {"bits per byte": lambda row: bits(seeds_of(rows, row)), "against": against}
    labels = {row.replace("half the batch", "half the batch, twice the steps"): row for row in AGAINST}
    return grid("row", labels, columns)


WARM_START = {
    "causal": "causal",
    "masked (`causal_warmup=0`)": "masked",
    "masked, `causal_warmup=0.5` in one run": "masked, causal_warmup 0.5",
    "causal, then masked from its weights": "causal, then masked from its weights",
    "masked, then causal from its weights": "masked, then causal from its weights",
}


def warm_start(found: Any) -> Rows:
    """Return what the weights of another run buy at equal tokens."""
    columns = {"bits per byte": lambda row: bits(seeds_of(found["rows"], row))}
    return grid("row", WARM_START, columns)


TABLES = {
    "masked-options": Table("ablate_masked.json", options),
    "warm-start": Table("warm_start.json", warm_start),
}
