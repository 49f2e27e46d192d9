"""Does the Q-controller help? Held-out bits a byte over four decades of base rates, against its controls and rivals.

    OMP_NUM_THREADS=1 python -m benchmarks.studies.qcontroller.rates [--quick] [--results FOLDER]

A byte network of 29 thousand parameters learns Python's documentation for 200 steps, with SGD with momentum and with
AdamW. All ways of a seed have the same weights, batches, warm-up of 20 steps and clipping at 1; what they do with the
base rate is all that differs. The controllers are those of ``unmask.training.qcontroller``, driven without the
Trainer, with an action every 5 steps as runs are short.

Controls: actions at random in the same machine (``random``, ``original at random``); one action for ever
(``always x0.8``, ``always x1.25``), and the best of these two and ``constant`` in hindsight, a base rate (``best
fixed action``).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from benchmarks.studies.qcontroller.race import (
    ADAMW_ONLY,
    BEST_FIXED,
    EVERY,
    FIXED,
    HELD,
    ROWS,
    STEPS,
    WARM,
    WAYS,
    WORST,
    ByteNetwork,
    Family,
    Text,
    run,
    text,
)

COMMAND = f"OMP_NUM_THREADS=1 python -m {__spec__.name}"
SEEDS = (0, 1, 2, 3, 4)
RATES = {"sgd": np.logspace(-4, 0, 7).tolist(), "adamw": np.logspace(-5, -1, 7).tolist()}
NEAR = (0.1, 0.25)  # bits from the family's best cell that count as near


@dataclass(frozen=True)
class Cell:
    """The seeds of one way at one base rate: held-out bits a byte, factors at the end, seconds of the processor."""

    bits: list[float]
    factors: list[float]
    seconds: list[float]


Cells = dict[str, list[Cell]]
"""Way -> a cell for each base rate; for ``prodigy, cosine``, which has none, one."""


def measure(family: Family, rates: Sequence[float], seeds: Sequence[int], given: Text, steps: int) -> Cells:
    found: Cells = {}
    for name, way in WAYS.items():
        if family == "sgd" and name in ADAMW_ONLY:
            continue
        found[name] = []
        for place, rate in enumerate(rates[:1] if way.optimizer == "prodigy" else rates):
            cell = Cell([], [], [])
            for seed in seeds:
                began = time.process_time()
                draws = seed * len(rates) + place  # other actions at each rate: as many walks of chance as runs
                bits, factor = run(family, way, rate, seed, given, steps, draws)
                cell.bits.append(bits)
                cell.factors.append(factor)
                cell.seconds.append(time.process_time() - began)
            found[name].append(cell)
        say(f"{family}, {name}: " + " ".join(f"{fmean(cell.bits):.2f}" for cell in found[name]))
    best = [min((found[name][i] for name in FIXED), key=lambda cell: fmean(cell.bits)) for i in range(len(rates))]
    return {**found, BEST_FIXED: best}


def near(means: Sequence[float], rates: Sequence[float], limit: float) -> float:
    """Return the share of the decades, between first and last rate, where the line through the means is below."""
    grid = np.linspace(math.log(rates[0]), math.log(rates[-1]), 2001)
    return float((np.interp(grid, np.log(rates), means) <= limit).mean())


def over_rates(cells: Sequence[Cell]) -> list[float]:
    """Return each seed's mean over the base rates."""
    return [fmean(bits) for bits in zip(*(cell.bits for cell in cells), strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{fmean(values):.{digits}f} ± {stdev(values) if len(values) > 1 else 0:.{digits}f}"


def summary(found: Cells, rates: Sequence[float]) -> list[dict[str, Any]]:
    """Return a row a way: its mean at each base rate, over all, at its best one, and how wide it is near the best."""
    least = min(fmean(cell.bits) for cells in found.values() for cell in cells)
    rows = []
    for name, cells in found.items():
        means = [fmean(cell.bits) for cell in cells] * (len(rates) if len(cells) == 1 else 1)
        top = min(cells, key=lambda cell: fmean(cell.bits))
        each = {f"{rate:.1e}": f"{mean:.2f}" for rate, mean in zip(rates, means, strict=True)}
        ends = {f"within {x}": f"{near(means, rates, least + x):.0%}" for x in NEAR}
        seconds = fmean(s for cell in cells for s in cell.seconds)
        rows.append(
            {"way": name, **each, "all rates": spread(over_rates(cells)), "best rate": spread(top.bits), **ends}
            | {"s a run": f"{seconds:.2f}"}
        )
    return rows


def against(found: Cells, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return differences between ways, seed by seed, of the means over base rates."""
    rows = []
    for one, other in pairs:
        less = [a - b for a, b in zip(over_rates(found[one]), over_rates(found[other]), strict=True)]
        rows.append(
            {
                "way": one,
                "against": other,
                "difference, bits": spread(less, 3),
                "seeds it is better in": f"{sum(d < 0 for d in less)} of {len(less)}",
            }
        )
    return rows


PAIRS = (
    ("original", "constant"),
    ("original", "original at random"),
    ("mended", "constant"),
    ("mended", "random"),
    ("mended, alpha 0.5, gamma 0", "constant"),
    ("mended, alpha 0.5, gamma 0", "random"),
    ("mended, alpha 0.5, gamma 0", "hypergradient"),
    ("mended, alpha 0.5, gamma 0", BEST_FIXED),
    ("mended, alpha 0.5, gamma 0, on cosine", "cosine"),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--quick", action="store_true", help="two rates, one seed, few steps; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    steps, seeds = (6, SEEDS[:1]) if given.quick else (STEPS, SEEDS)
    bytes_ = text()
    content: dict[str, Any] = {}
    for family, rates in RATES.items():
        rates = rates[::6] if given.quick else rates
        found = measure(family, rates, seeds, bytes_, steps)
        rows, pairs = summary(found, rates), against(found, PAIRS)
        print(f"## {family}\n\n" + "\n".join(table(rows)) + "\n\n" + "\n".join(table(pairs)) + "\n")
        cells: Mapping[str, Any] = {name: [vars(cell) for cell in cells] for name, cells in found.items()}
        content[family] = {"rates": rates, "rows": rows, "against": pairs, "cells": cells}
    if not given.quick:
        settings = {
            "seeds": seeds,
            "steps": steps,
            "warm-up": WARM,
            "every": EVERY,
            "positions a step": ROWS,
            "held-out positions": HELD,
            "parameters": sum(p.numel() for p in ByteNetwork().parameters()),
            "worst": WORST,
            "±": "standard deviation of the seeds",
            "within": "share of the decades, by a line between rates, at most so many bits above the best cell",
        }
        store(given.results / "qcontroller.json", {**stamp(COMMAND), "settings": settings, **content})
    return 0


if __name__ == "__main__":
    sys.exit(main())
