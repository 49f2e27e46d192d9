"""Trees in Poincare balls and in flat space: distortion and MAP at 2, 5 and 10 dimensions.

    OMP_NUM_THREADS=1 python -m benchmarks.studies.wubu.trees [--quick] [--results FOLDER]

Each geometry gets the same optimiser, the same steps and the same learning rates to choose from, on a seed of its own;
the rate with the least distortion then trains three other seeds. Controls: points as they are drawn, before any step,
and a ball whose curvature is not learned.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from benchmarks.studies.wubu.tree_distances import (
    Embedding,
    Parents,
    balanced_tree,
    class_tree,
    distortion,
    embed,
    neighbour_precision,
    path_lengths,
    random_tree,
)

MODULES = ("builtins", "io", "logging", "argparse")
RATES = (0.03, 0.1, 0.3, 1.0)
SEEDS = (0, 1, 2)
TUNING = 100
WAYS: dict[str, dict[str, bool]] = {
    "Poincare, learned c": {"euclidean": False},
    "Poincare, c = 1": {"euclidean": False, "learnable_curvature": False},
    "Euclidean": {"euclidean": True},
}


def trees(quick: bool) -> dict[str, Parents]:
    if quick:
        return {"binary": balanced_tree(2, 3)}
    return {
        "binary, depth 6": balanced_tree(2, 6),
        "ternary, depth 4": balanced_tree(3, 4),
        "random recursive": random_tree(127, 0),
        "Python's classes": class_tree(MODULES),
    }


def scores(found: Embedding, lengths: Tensor) -> tuple[list[float], list[float]]:
    return distortion(found.distances, lengths).tolist(), neighbour_precision(found.distances, lengths).tolist()


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"


def measure(name: str, parents: Parents, dimensions: int, way: str, steps: int) -> dict[str, Any]:
    """Tune one geometry on one tree, train it on three seeds, and return the row."""
    lengths, how = path_lengths(parents), WAYS[way]
    began = time.process_time()
    tuned = embed(lengths, dimensions, rates=RATES, seeds=[TUNING] * len(RATES), steps=steps // 2, **how)
    tuning = distortion(tuned.distances, lengths).tolist()
    rate = RATES[int(np.nanargmin(tuning))]  # one that diverged is never the best
    found = embed(lengths, dimensions, rates=[rate] * len(SEEDS), seeds=SEEDS, steps=steps, **how)
    wrong, right = scores(found, lengths)
    say(f"{name}, {dimensions}, {way}: {spread(wrong)}, {spread(right)}")
    return {
        "tree": name,
        "nodes": len(parents),
        "dimensions": dimensions,
        "geometry": way,
        "rate": rate,
        "distortion": spread(wrong),
        "MAP": spread(right),
        "c": spread(found.curvature.tolist()),
        "cpu seconds": round(time.process_time() - began, 1),
        "distortions": wrong,
        "MAPs": right,
        "curvatures": found.curvature.tolist(),
        "tuning distortions": dict(zip(map(str, RATES), tuning, strict=True)),
    }


def untrained(name: str, parents: Parents, dimensions: int) -> dict[str, Any]:
    lengths = path_lengths(parents)
    found = embed(lengths, dimensions, rates=[1.0] * len(SEEDS), seeds=SEEDS, steps=0, euclidean=True)
    wrong, right = scores(found, lengths)
    return {"tree": name, "dimensions": dimensions, "distortion": spread(wrong), "MAP": spread(right)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--quick", action="store_true", help="one small tree, a few steps; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    steps, sizes = (20, (2,)) if given.quick else (800, (2, 5, 10))
    worlds = trees(given.quick)
    rows = [
        measure(name, parents, dimensions, way, steps)
        for name, parents in worlds.items()
        for dimensions in sizes
        for way in WAYS
    ]
    control = [untrained(name, parents, dimensions) for name, parents in worlds.items() for dimensions in sizes]
    shown = ("tree", "dimensions", "geometry", "rate", "distortion", "MAP", "c", "cpu seconds")
    print("\n".join(table([{key: row[key] for key in shown} for row in rows])))
    print("\nPoints as drawn:\n\n" + "\n".join(table(control)))
    if not given.quick:
        settings = {
            "seeds": SEEDS,
            "tuning seed": TUNING,
            "rates": RATES,
            "steps": steps,
            "tuning steps": steps // 2,
            "modules": MODULES,
            "±": "standard deviation of the seeds",
        }
        content = {"settings": settings, "rows": rows, "points as drawn": control}
        store(
            given.results / "trees.json",
            {**stamp(f"OMP_NUM_THREADS=1 python -m {__spec__.name}"), **content},
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
