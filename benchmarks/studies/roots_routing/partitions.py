"""Partitions and routers on docstrings: how many of the true nearest ten a share of the vectors holds, with controls.

    OMP_NUM_THREADS=1 nice -n 5 python -m benchmarks.studies.roots_routing.partitions [--quick] [--results FOLDER]

Query: a docstring's first sentence. Vectors: what follows it, of all docstrings of ``pydocs``, by WordLlama. Queries
are split three ways by seed: what a router learns from, what chooses delta, and what is told. All rivals scan exactly
the same number of vectors; a shelf that the budget cuts counts by the part that is read. Controls: random shelves,
labels that were shuffled over the vectors (sizes stay), lessons that were shuffled over the queries. Peer: the inverted
file of faiss.
"""

from __future__ import annotations

import argparse
import statistics as stats
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from benchmarks.studies.roots_routing.exact import exact, rounded, spilled
from benchmarks.studies.roots_routing.world import (
    CURVE,
    SEEDS,
    SHARES,
    Roles,
    World,
    full,
    lessons,
    partitions,
    recall,
    roles,
    statistics_of,
    world,
)
from unmask.roots.partition import Partition, make_partitioner
from unmask.roots.route import Lessons, make_router, opening_order
from unmask.roots.route.moments import best_delta
from unmask.roots.shelves.dial import calibrate


def grid(w: World, shelves: int, seed: int) -> list[dict[str, Any]]:
    """Every partition under every router."""
    told, rows = roles(len(w.queries), seed), []
    for name, (partition, seconds) in partitions(w, shelves, seed).items():
        sizes = partition.sizes
        about = {
            "partition": name,
            "shelves": shelves,
            "seed": seed,
            "build seconds": round(seconds, 2),
            "max / mean": round(float(sizes.max() / sizes.mean()), 2),
            "smallest": int(sizes.min()),
        }

        def row(
            router: str,
            nbytes: int,
            scores: np.ndarray,
            about: dict[str, Any] = about,
            partition: Partition = partition,
            **more: Any,
        ) -> None:
            found = recall(w, partition, scores, told.told)
            curve = recall(w, partition, scores, told.told, CURVE)
            rows.append({**about, "router": router, "bytes": nbytes, "recall": found, "curve": curve, **more})

        queries = w.queries[told.told]
        if name == "faiss IVF":
            row("its own", partition.centroids.nbytes, queries @ partition.centroids.T)
            continue
        held_out, learned = lessons(w, partition.labels, told.choose), lessons(w, partition.labels, told.learn)
        four = statistics_of(w, partition, 4)
        centroid = make_router("centroid", four)
        row("centroid", centroid.nbytes, centroid.scores(queries))
        for kind, kept in (
            ("moments, rank 4", four),
            ("moments, exact", statistics_of(w, partition, full(w, partition))),
        ):
            delta = best_delta(kept, held_out)
            router = make_router("moments", kept, {"delta": delta})
            row(kind, router.nbytes, router.scores(queries), delta=delta)
        cones = make_router("cones", four)
        row("cones", cones.nbytes, cones.scores(queries))
        began = time.process_time()
        energy = make_router("ebm", four, lessons=learned, seed=seed)
        row("ebm", energy.nbytes, energy.scores(queries), **{"learning seconds": round(time.process_time() - began, 1)})
        if name == "balanced_kmeans":
            wrong = np.random.default_rng(seed).permutation(learned.shelves)
            energy = make_router("ebm", four, lessons=Lessons(learned.queries, wrong), seed=seed)
            row("ebm, lessons shuffled", energy.nbytes, energy.scores(queries))
    return rows


def by_bytes(w: World, counts: tuple[int, ...], seed: int) -> list[dict[str, Any]]:
    """More shelves, or more about each shelf: recall beside the bytes of the router."""
    told, rows = roles(len(w.queries), seed), []
    for shelves in counts:
        began = time.process_time()
        partition = make_partitioner("balanced_kmeans").fit(w.vectors, shelves, seed)
        seconds = time.process_time() - began
        queries = w.queries[told.told]

        def row(
            router: str, nbytes: int, scores: np.ndarray, partition: Partition = partition, seconds: float = seconds
        ) -> None:
            dial = calibrate(
                opening_order(scores), partition.sizes, partition.labels[w.truth[told.told]], vector_bytes=1024
            )
            rows.append(
                {
                    "shelves": partition.shelves,
                    "router": router,
                    "seed": seed,
                    "bytes": nbytes,
                    "recall": recall(w, partition, scores, told.told),
                    "shelves opened at 10 %": round(dial.shelves_at(0.1 * len(w.vectors)), 1),
                    "build seconds": round(seconds, 2),
                }
            )

        for rank in (0, 2, 4, 8, 16):
            if rank and rank >= len(w.vectors) / shelves / 1.5:
                continue
            kept = statistics_of(w, partition, rank)
            if not rank:
                centroid = make_router("centroid", kept)
                row("centroid", centroid.nbytes, centroid.scores(queries))
            delta = best_delta(kept, lessons(w, partition.labels, told.choose))
            router = make_router("moments", kept, {"delta": delta})
            row(f"moments, rank {rank}", router.nbytes, router.scores(queries))
    return rows


def summary(rows: list[dict[str, Any]], keys: tuple[str, ...], told: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return one row for each combination of keys: means over seeds, and the deviation of the seeds."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    found = []
    for values, members in groups.items():
        entry = dict(zip(keys, values, strict=True))
        entry |= {key: stats.mean(member[key] for member in members) for key in told}
        for column, share in enumerate(SHARES):
            at = [member["recall"][column] for member in members]
            spread = f" ± {stats.stdev(at):.3f}" if len(at) > 1 else ""
            entry[f"{share:.0%}"] = f"{stats.mean(at):.3f}{spread}"
        found.append(entry)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--quick", action="store_true", help="600 vectors, one seed; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    quick, w = given.quick, world(given.quick)
    say(f"{len(w.vectors)} vectors of width {w.vectors.shape[1]}")
    seeds, middle = (SEEDS[:1], 16) if quick else (SEEDS, 64)
    counts = (16, 32) if quick else (16, 64, 128, 256, 512, 1024)
    parts: dict[str, list[dict[str, Any]]] = {"grid": [], "by bytes": [], "spilled": [], "rounded": [], "exact": []}
    for seed in seeds:
        say(f"seed {seed}: {time.process_time():.0f} s")
        parts["grid"] += grid(w, middle, seed)
        parts["by bytes"] += by_bytes(w, counts, seed)
        for shelves in (middle, 4 * middle):
            parts["spilled"] += spilled(w, shelves, seed)
        parts["rounded"] += rounded(w, middle, seed)
    for width in (16, 64, 256):
        for shelves in (middle, 4 * middle if quick else 1024):
            parts["exact"] += exact(w, width, shelves, 20 if quick else 100, 0)
    shown = {
        "Partitions and routers": summary(
            parts["grid"], ("partition", "router"), ("build seconds", "max / mean", "bytes")
        ),
        "More shelves, or more about each": summary(
            parts["by bytes"], ("shelves", "router"), ("bytes", "shelves opened at 10 %", "build seconds")
        ),
        "Spilled": summary(parts["spilled"], ("shelves", "copied", "lambda", "router"), ("stored vectors",)),
        "Rounded": summary(parts["rounded"], ("kept as", "router")),
        "Exact": parts["exact"],
    }
    for heading, rows in shown.items():
        print(f"\n{heading}:\n\n" + "\n".join(table(rows)))
    if not quick:
        settings = {
            "vectors": len(w.vectors),
            "width": w.vectors.shape[1],
            "shelves": middle,
            "seeds": seeds,
            "queries": dict(zip(Roles._fields, map(len, roles(len(w.queries), 0)), strict=True)),
            "shares": SHARES,
            "curve": CURVE,
            "±": "standard deviation of the seeds",
            "cpu seconds": round(time.process_time()),
        }
        command = f"OMP_NUM_THREADS=1 nice -n 5 python -m {__spec__.name}"
        store(given.results / "partitions.json", {**stamp(command), "settings": settings, "tables": shown, **parts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
