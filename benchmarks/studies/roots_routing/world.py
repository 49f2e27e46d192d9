"""Docstrings as vectors, who learns and who asks, partitions of them, and recall of the true ten."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from unmask.data.embeddings import WordLlamaEmbedder
from unmask.data.pydocs import pydocs_pairs
from unmask.roots.partition import PARTITIONERS, Partition, make_partitioner
from unmask.roots.partition.partitioner import finish
from unmask.roots.route import Lessons, opening_order
from unmask.roots.route.router import true_nearest
from unmask.roots.shelves.dial import found_share
from unmask.roots.shelves.statistics import ShelfStatistics, measure

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
