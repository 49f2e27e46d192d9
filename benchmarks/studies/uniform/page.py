"""The table of docs/studies/uniform.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, bits, grid, seeds_of
from benchmarks.studies.masked.page import WARM, effect

TOLD, UNIFORM = "masked, told the noise level", "uniform"
AGAINST = {
    TOLD: (WARM,),
    UNIFORM: (WARM, TOLD),
    "uniform, nothing given in training": (UNIFORM,),
    "uniform + ELBO weight": (UNIFORM,),
    "uniform without the warm start": (UNIFORM,),
}
"""Row -> the rows that it is held against."""


def likelihood(found: Any, masked: Any) -> Rows:
    """Return the bound of words that may be wrong, beside masks."""
    rows = masked["rows"] | found["rows"]

    def against(row: str) -> str:
        effects = [(other, effect(seeds_of(rows, row), seeds_of(rows, other))) for other in AGAINST.get(row, ())]
        return "; ".join(f"{'masked' if other == WARM else other}: {told}" for other, told in effects)

    columns = {
        "bits per byte": lambda row: bits(seeds_of(rows, row)),
        "seeds": lambda row: str(len(seeds_of(rows, row))),
        "against": against,
    }
    return grid("row", {"masked, without its curriculum": WARM} | {row: row for row in AGAINST}, columns)


TABLES = {"uniform": Table("ablate_uniform.json", likelihood, more=("ablate_masked.json",))}
