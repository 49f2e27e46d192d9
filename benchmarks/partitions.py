"""Partitions and routers on docstrings: how many of the true nearest ten a share of the vectors holds, with controls.

    OMP_NUM_THREADS=1 nice -n 5 python -m benchmarks.partitions [--quick] [--results FOLDER]

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
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import say, stamp, store, table
from unmask.data.embeddings import WordLlamaEmbedder
from unmask.data.pydocs import pydocs_pairs
from unmask.retrieval.bounds import search, upper_bounds
from unmask.retrieval.calibrate import calibrate, found_share
from unmask.retrieval.partition import PARTITIONERS, Partition, make_partitioner, spill
from unmask.retrieval.partition.partitioner import finish, unit
from unmask.retrieval.route import Lessons, make_router, opening_order
from unmask.retrieval.route.moments import best_delta
from unmask.retrieval.route.router import true_nearest
from unmask.retrieval.statistics import ShelfStatistics, measure

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
SHARES = (0.02, 0.05, 0.1, 0.2)
CURVE = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4)
TOP = 10
LEARN, CHOOSE = 3000, 800


class World(NamedTuple):
    """Queries and vectors, and which vectors are truly the nearest."""

    queries: np.ndarray
    vectors: np.ndarray
    truth: np.ndarray


class Roles(NamedTuple):
    """Numbers of queries: disjoint."""

    learn: np.ndarray
    choose: np.ndarray
    told: np.ndarray


def world(quick: bool) -> World:
    pairs = pydocs_pairs()[: 600 if quick else None]
    embedder = WordLlamaEmbedder()
    queries, vectors = embedder.embed([q for q, _ in pairs]), embedder.embed([d for _, d in pairs])
    return World(queries, vectors, true_nearest(queries, vectors, TOP))


def roles(count: int, seed: int) -> Roles:
    order = np.random.default_rng([seed, 7]).permutation(count)
    learn, choose = min(LEARN, count // 2), min(CHOOSE, count // 8)
    return Roles(*np.split(order, [learn, learn + choose]))


def lessons(w: World, labels: np.ndarray, rows: np.ndarray) -> Lessons:
    return Lessons(w.queries[rows], labels[w.truth[rows]])


def recall(w: World, partition: Partition, scores: np.ndarray, rows: np.ndarray, shares: Any = SHARES) -> list[float]:
    truth = w.truth[rows]
    second = None if partition.second is None else partition.second[truth]
    budgets = [share * len(w.vectors) for share in shares]
    found = found_share(opening_order(scores), partition.sizes, partition.labels[truth], budgets, second)
    return found.mean(0).tolist()


def statistics_of(w: World, partition: Partition, rank: int) -> ShelfStatistics:
    members = partition.members()
    shelf = np.repeat(np.arange(partition.shelves), np.diff(members.starts))
    return measure(w.vectors[members.points], shelf, partition.centroids, rank=rank)


def full(w: World, partition: Partition) -> int:
    """Return the rank at which the sketch is exact."""
    return int(min(partition.sizes.max(), w.vectors.shape[1]))


def partitions(w: World, shelves: int, seed: int) -> dict[str, tuple[Partition, float]]:
    """Return every partition of one seed and the seconds that it took."""
    found = {}
    for name in PARTITIONERS:
        began = time.process_time()
        partition = make_partitioner(name).fit(w.vectors, shelves, seed)
        found[name] = (partition, time.process_time() - began)
    shuffled = np.random.default_rng(seed).permutation(found["balanced_kmeans"][0].labels)
    found["balanced_kmeans, labels shuffled"] = (finish(w.vectors, shuffled, shelves, seed), 0.0)
    found["faiss IVF"] = faiss_lists(w, shelves, seed)
    return found


def faiss_lists(w: World, shelves: int, seed: int) -> tuple[Partition, float]:
    """Return the lists of faiss' inverted file with spherical k-means, as a partition."""
    import faiss

    faiss.omp_set_num_threads(1)
    began = time.process_time()
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(w.vectors.shape[1]), w.vectors.shape[1], shelves, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed, index.cp.spherical = seed + 1, True
    index.train(w.vectors)
    labels = index.quantizer.search(w.vectors, 1)[1][:, 0]
    seconds = time.process_time() - began
    centroids = index.quantizer.reconstruct_n(0, shelves)
    return Partition(labels, centroids, np.zeros(shelves, np.float32), seed), seconds


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitions")
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
        command = "OMP_NUM_THREADS=1 nice -n 5 python -m benchmarks.partitions"
        store(given.results / "partitions.json", {**stamp(command), "settings": settings, "tables": shown, **parts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
