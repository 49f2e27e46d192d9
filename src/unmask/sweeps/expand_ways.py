"""The ways to sample that a plan asks for: each sampler section under every choice of its lists."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unmask.diffusion.process import PROCESSES
from unmask.errors import Error, UnknownPart
from unmask.reports.generation import Way
from unmask.sampling import SAMPLERS, drives
from unmask.sweeps.expand import RowPlan, in_words, what_is_missing
from unmask.sweeps.plan import SweepPlan


@dataclass(frozen=True)
class WayPlan:
    """A sampler with its settings that a plan asks for; ``missing`` says what is not there (yet)."""

    name: str
    given: dict[str, Any]
    way: Way | None
    missing: str = ""

    @property
    def label(self) -> str:
        """Name and settings in words."""
        return " ".join([self.name, *(f"{key}={in_words(value)}" for key, value in self.given.items())])


def expand_samplers(plan: SweepPlan) -> list[WayPlan]:
    """Return the ways to sample, in the plan's order.

    Raises:
        Error: an unknown setting, a wrong value, or one that the sampler does not use.
    """
    found: list[WayPlan] = []
    for section in plan.samplers:
        name = section["name"]
        if "seed" in section:
            raise Error("a sampler of the plan has seed; give sample.seed, which all share.")
        grid = {key: value if isinstance(value, list) else [value] for key, value in section.items() if key != "name"}
        for values in itertools.product(*grid.values()):
            given = dict(zip(grid, values, strict=True))
            missing, way = "", None
            try:
                way = Way(SAMPLERS.facts(name)(**given))
            except UnknownPart as error:
                missing = what_is_missing(error)
            entry = WayPlan(name, given, way, missing)
            if any(entry == other for other in found):
                raise Error(f"sampler {entry.label!r} is in the plan twice; leave one out.")
            found.append(entry)
    return found


def check_ways(plan: SweepPlan, rows: Sequence[RowPlan], ways: Sequence[WayPlan]) -> None:
    """Raise Error if a sampler fits none of the rows (runs that the plan names are looked at when they are opened)."""
    if plan.runs:
        return
    seen = {row.cost.recipe.process.name for row in rows if row.cost is not None}
    processes = [PROCESSES.facts(name) for name in seen]
    for entry in ways:
        if seen and entry.way and not any(drives(entry.way.settings, process) for process in processes):
            raise Error(
                f"the {entry.name!r} sampler fits no row of the plan: their processes are {', '.join(sorted(seen))}."
            )
