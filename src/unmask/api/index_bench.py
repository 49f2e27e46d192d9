"""Measure an index: what it finds of what reading everything finds, how long it takes, what its storage costs.

Queries are sentences of texts that the index holds, others than those its dial was set by; none finds its own document.
Two controls stand in the table: shelves opened in random order, and the centroid router.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from unmask.errors import Error, check_seed
from unmask.lines import counted
from unmask.result import Result
from unmask.roots.building.learn import questions, truth
from unmask.roots.embed.embedders import Reader, read_texts
from unmask.roots.index import Index, open_index
from unmask.roots.search.budget import Budget
from unmask.roots.search.near import Own
from unmask.roots.search.search import search
from unmask.roots.shelves.vectors import KINDS, keep

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
RECALLS = (0.8, 0.9, 0.95)
_SAMPLE = 2000  # texts embedded again, for the cost of storage
_TURNS = 5


@dataclass(frozen=True, repr=False)
class IndexBenchResult(Result):
    """What was measured.

    Attributes:
        index: The index's folder.
        queries: How many were asked.
        k: Neighbours.
        texts: N.
        recall: Rows: router, share of the texts read, recall with its standard error, shelves, bytes; ``exact`` last.
        latency: Rows: way, milliseconds a query alone and in a batch, recall.
        storage: Rows: storage, bytes a vector, error of a score, neighbours that stay.
    """

    index: str
    queries: int
    k: int
    texts: int
    recall: list[dict[str, Any]]
    latency: list[dict[str, Any]]
    storage: list[dict[str, Any]]

    def _facts(self) -> tuple[str, ...]:
        return (self.index, counted(self.queries, "query", "queries"), f"{self.k} neighbours of {self.texts:,} texts")


class _Random:
    """A router that knows nothing: the control."""

    name = "random"

    def __init__(self, shelves: int, seed: int) -> None:
        self._shelves, self._seed = shelves, seed

    def scores(self, queries: Float32[np.ndarray, "Q D"]) -> Float32[np.ndarray, "Q K"]:
        return np.random.default_rng(self._seed).random((len(queries), self._shelves), np.float32)


def bench_index(
    index: str | Path | Index,
    *,
    queries: int = 200,
    k: int = 10,
    seed: int = 0,
    embedder: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> IndexBenchResult:
    """Measure recall, latency and the cost of storage.

    Args:
        index: Folder of an index, or an opened one.
        queries: How many sentences to ask.
        k: Neighbours.
        seed: Of the choice of sentences.
        embedder: How the index's embedder is called now, where that has changed.
        say: Called with a line now and then.

    Raises:
        Error: no index, or one too small for the question.
    """
    opened = index if isinstance(index, Index) else open_index(index)
    check_seed(seed)
    if queries < 1:
        raise Error(f"queries is {queries}; ask at least 1.")
    if not 1 <= k <= len(opened):
        raise Error(f"k is {k}, and the index {opened.path} holds {len(opened)} texts; ask for 1 to {len(opened)}.")
    reader = opened.reader(embedder)
    rng = np.random.default_rng([seed, 11])
    asked, owns = questions(opened.segments, opened.firsts, reader, queries, rng)
    best = truth(opened.segments, opened.firsts, asked, owns, k)
    whole = (best >= 0).all(1)
    asked, owns, best = asked[whole], [owns[row] for row in np.flatnonzero(whole).tolist()], best[whole]
    if not len(asked):
        raise Error(f"the index {opened.path} has no {k} texts besides a query's own document; lower --k.")
    say(f"{len(asked)} sentences of texts in the index, each without its own document")
    return IndexBenchResult(
        index=str(opened.path),
        queries=len(asked),
        k=k,
        texts=len(opened),
        recall=_recall(opened, asked, owns, best, k, seed),
        latency=_latency(opened, asked, owns, best, k),
        storage=_storage(opened, reader, asked, k, rng),
    )


def _recall(
    index: Index,
    asked: Float32[np.ndarray, "Q D"],
    owns: list[Own],
    best: Int64[np.ndarray, "Q k"],
    k: int,
    seed: int,
) -> list[dict[str, Any]]:
    routers = {index.manifest.router: index.router(), "centroid": index.router("centroid")}
    rows = []
    for name, router in {**routers, "random": _Random(index.manifest.shelves, seed)}.items():
        for share in SHARES:
            found = search(index, asked, k, Budget(share=share), router=router, owns=owns)
            rows.append(_row(name, index, found.members, found.read, found.certified, best))
    if k <= max(index.dials.curves):
        for recall in RECALLS:
            found = search(index, asked, k, Budget(recall=recall), owns=owns)
            rows.append(_row(f"--recall {recall}", index, found.members, found.read, found.certified, best))
    found = search(index, asked, k, Budget(exact=True), owns=owns)
    rows.append(_row("exact", index, found.members, found.read, found.certified, best))
    near = search(index, asked, k, Budget(exact=True), least=0.9, owns=owns)
    row = _row("exact, cos >= 0.9", index, near.members, near.read, near.certified, best)
    rows.append({**row, "recall": None, "error": None})
    return rows


def _row(
    name: str,
    index: Index,
    members: Int64[np.ndarray, "Q k"],
    read: Int64[np.ndarray, "Q K"],
    certified: np.ndarray,
    best: Int64[np.ndarray, "Q k"],
) -> dict[str, Any]:
    hits = (members[:, :, None] == best[:, None, :]).any(1).mean(1)
    count = read.sum(1).mean()
    return {
        "router": name,
        "share_read": float(count / len(index)),
        "recall": float(hits.mean()),
        "error": float(hits.std() / np.sqrt(len(hits))),
        "shelves": float((read > 0).sum(1).mean()),
        "bytes": int(count * index.row_bytes),
        "certified": float(certified.mean()),
    }


def _latency(
    index: Index, asked: Float32[np.ndarray, "Q D"], owns: list[Own], best: Int64[np.ndarray, "Q k"], k: int
) -> list[dict[str, Any]]:
    """Time ways to find the k nearest; the query's own document is not left out, which is the same work for all."""
    vectors = np.concatenate(list(index.vectors()))
    router = index.router()
    ways: dict[str, Callable[[Float32[np.ndarray, "q D"]], Int64[np.ndarray, "q k"]]] = {
        f"index, open {share}": lambda q, share=share: search(index, q, k, Budget(share=share), router=router).members  # type: ignore[misc]
        for share in (0.05, 0.1, 1.0)
    }

    def brute(q: Float32[np.ndarray, "q D"]) -> Int64[np.ndarray, "q k"]:
        scores = q @ vectors.T
        chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.take_along_axis(-scores, chosen, 1).argsort(1)
        return np.take_along_axis(chosen, order, 1)

    ways["brute force, numpy float32"] = brute
    ways |= _faiss(vectors, index.manifest.shelves, k)
    exact = brute(asked)
    rows = []
    for name, way in ways.items():
        alone, batch = [], []
        found = way(asked)
        for _ in range(_TURNS):
            began = time.perf_counter()
            for query in asked[:20]:
                way(query[None])
            alone.append((time.perf_counter() - began) / len(asked[:20]))
            began = time.perf_counter()
            way(asked)
            batch.append((time.perf_counter() - began) / len(asked))
        rows.append(
            {
                "way": name,
                "ms_alone": 1e3 * float(np.median(alone)),
                "ms_in_batch": 1e3 * float(np.median(batch)),
                "recall": float((found[:, :, None] == exact[:, None, :]).any(1).mean()),
            }
        )
    return rows


def _faiss(
    vectors: Float32[np.ndarray, "N D"], shelves: int, k: int
) -> dict[str, Callable[[Float32[np.ndarray, "q D"]], Int64[np.ndarray, "q k"]]]:
    """Return faiss's ways, if it is installed: all in memory, and inverted lists of which a tenth is read."""
    try:
        import faiss
    except ImportError:
        return {}
    faiss.omp_set_num_threads(1)
    width = vectors.shape[1]
    flat = faiss.IndexFlatIP(width)
    flat.add(vectors)
    cells = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, shelves, faiss.METRIC_INNER_PRODUCT)
    cells.train(vectors)
    cells.add(vectors)
    cells.nprobe = max(1, round(shelves / 10))
    return {
        "faiss flat": lambda q: np.asarray(flat.search(q, k)[1]),
        f"faiss IVF, {cells.nprobe} of {shelves} cells": lambda q: np.asarray(cells.search(q, k)[1]),
    }


def _storage(
    index: Index, reader: Reader, asked: Float32[np.ndarray, "Q D"], k: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Embed some texts again, and compare what each storage makes of them with float32."""
    members = rng.permutation(len(index))[:_SAMPLE].tolist()
    vectors = read_texts(reader, [index.text(member) for member in members]).vectors
    scores = asked @ vectors.T
    top = min(k, len(members))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    rows = []
    for storage in KINDS:
        kept = keep(vectors, storage)
        ours = kept.dot(asked, 0, len(kept))
        found = np.argsort(-ours, axis=1, kind="stable")[:, :top]
        rows.append(
            {
                "storage": storage,
                "bytes_a_vector": kept.row_bytes,
                "mean_error": float(np.abs(ours - scores).mean()),
                "largest_error": float(np.abs(ours - scores).max()),
                "neighbours_kept": float((found[:, :, None] == best[:, None, :]).any(1).mean()),
            }
        )
    return rows
