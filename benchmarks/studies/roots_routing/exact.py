"""Exact search over partitions, rounded statistics, and texts on two shelves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.studies.roots_routing.world import (
    World,
    recall,
    roles,
    statistics_of,
)
from unmask.roots.partition import make_partitioner, spill
from unmask.roots.partition.partitioner import unit
from unmask.roots.route import make_router
from unmask.roots.search.bounds import search, upper_bounds
from unmask.roots.shelves.statistics import ShelfStatistics, measure


def spilled(w: World, shelves: int, seed: int) -> list[dict[str, Any]]:
    told, rows = roles(len(w.queries), seed), []
    whole = make_partitioner("balanced_kmeans").fit(w.vectors, shelves, seed)
    for share in (0.0, 0.2, 0.5, 1.0):
        for parallel in (0.0, 1.0) if share else (1.0,):
            partition = spill(whole, w.vectors, share, parallel) if share else whole
            kept = statistics_of(w, partition, 4)
            for name in ("centroid", "moments"):
                scores = make_router(name, kept).scores(w.queries[told.told])
                rows.append(
                    {
                        "shelves": shelves,
                        "copied": share,
                        "lambda": parallel,
                        "router": name,
                        "seed": seed,
                        "stored vectors": int(partition.sizes.sum()),
                        "recall": recall(w, partition, scores, told.told),
                    }
                )
    return rows


def rounded(w: World, shelves: int, seed: int) -> list[dict[str, Any]]:
    """The moments router when means and sketches are kept in fewer bits."""

    def int8(x: np.ndarray) -> np.ndarray:
        scale = np.maximum(np.abs(x).max(-1, keepdims=True), 1e-12) / 127
        return (np.round(x / scale) * scale).astype(np.float32)

    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "float32": lambda x: x,
        "float16": lambda x: x.astype(np.float16).astype(np.float32),
        "int8, a scale a row": int8,
    }
    told, rows = roles(len(w.queries), seed), []
    partition = make_partitioner("balanced_kmeans").fit(w.vectors, shelves, seed)
    arrays = statistics_of(w, partition, 4).to_arrays()
    for kind, rounding in kinds.items():
        mean = arrays["total"] / np.maximum(arrays["count"], 1)[:, None]
        total = rounding(mean.astype(np.float32)).astype(np.float64) * arrays["count"][:, None]
        kept = ShelfStatistics.from_arrays({**arrays, "total": total, "sketch": rounding(arrays["sketch"])})
        for name in ("centroid", "moments"):
            scores = make_router(name, kept).scores(w.queries[told.told])
            rows.append(
                {"kept as": kind, "router": name, "seed": seed, "recall": recall(w, partition, scores, told.told)}
            )
    return rows


def exact(w: World, width: int, shelves: int, count: int, seed: int) -> list[dict[str, Any]]:
    """The share of the vectors that is read until an answer is certain; every answer is held against reading all."""
    vectors = unit(w.vectors[:, :width])
    partition = make_partitioner("kmeans").fit(vectors, shelves, seed)
    kept, members, sizes = measure(vectors, partition.labels, partition.centroids), partition.members(), partition.sizes
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:count]
    queries, own = unit(w.queries[chosen][:, :width]), vectors[chosen]
    kinds: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "nearest 1": (queries, {"top": 1}),
        "nearest 10": (queries, {"top": 10}),
        "all with cosine >= 0.7": (queries, {"threshold": 0.7}),
        "all with cosine >= 0.9": (queries, {"threshold": 0.9}),
        "duplicates of a vector, cosine >= 0.95": (own, {"threshold": 0.95}),
        "the vector itself, nearest 1": (own, {"top": 1}),
    }

    def read(shelf: int) -> tuple[np.ndarray, np.ndarray]:
        return members.of(shelf), vectors[members.of(shelf)]

    rows = []
    router = make_router("moments", kept)
    for kind, (asked, how) in kinds.items():
        scores, bounds = router.scores(asked), upper_bounds(asked, kept)
        scanned, wrong, certain = [], 0, 0
        for query, score, bound in zip(asked, scores, bounds, strict=True):
            found = search(query, read, score, bound, **how)
            everything = vectors @ query
            best = np.sort(everything)[::-1]
            truth = best[: how["top"]] if "top" in how else best[best >= how["threshold"]]
            wrong += len(truth) != len(found.scores) or not np.allclose(truth, found.scores, atol=1e-5)
            scanned.append(found.scanned / len(vectors))
            certain += search(query, read, score, bound, sizes=sizes, most=len(vectors) // 10, **how).complete
        rows.append(
            {
                "query": kind,
                "width": width,
                "shelves": shelves,
                "scanned": round(float(np.mean(scanned)), 3),
                "median": round(float(np.median(scanned)), 3),
                "certain after 10 %": round(certain / len(asked), 2),
                "wrong": wrong,
            }
        )
    return rows
