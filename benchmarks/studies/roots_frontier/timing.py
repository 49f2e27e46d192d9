"""Seconds a question of ROOTS beside faiss at equal recall, in batch; the rivals take turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.measure import Goal, Result, Row, ratios, take_turns, timed
from benchmarks.lib.worlds import TOP, Corpus
from unmask.data.origin import Document
from unmask.roots.building.build import BuildOptions, build
from unmask.roots.embed.embedders import Reader
from unmask.roots.index import Index, open_index
from unmask.roots.search.budget import Budget
from unmask.roots.search.search import search

TIMED = (2, 4, 6, 13)  # lists of faiss of 64


def timing(corpus: Corpus, reader: Reader, quick: bool) -> Result:
    """Time searches of all questions at once: the index, and faiss' inverted file at the same recall."""
    import faiss

    faiss.omp_set_num_threads(1)
    queries = corpus.questions[0].vectors
    with tempfile.TemporaryDirectory() as folder:
        options = BuildOptions(passage=0, grams=0, partition="balanced_kmeans" if quick else "kmeans")
        build(
            map(Document, corpus.texts),
            {"source": corpus.name, "split": "all"},
            Path(folder) / "index",
            reader,
            options,
        )
        index = open_index(Path(folder) / "index")
        return timed_rivals(index, queries, faiss, quick)


def timed_rivals(index: Index, queries: np.ndarray, faiss: Any, quick: bool) -> Result:
    vectors, shelves = np.concatenate(list(index.vectors())), index.manifest.shelves
    width = vectors.shape[1]
    truth = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :TOP]
    lists = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, shelves, faiss.METRIC_INNER_PRODUCT)
    lists.cp.spherical = True
    lists.train(vectors)
    lists.add(vectors)
    whole = faiss.IndexFlatIP(width)
    whole.add(vectors)

    def recall(found: np.ndarray) -> float:
        return float((truth[:, :, None] == found[:, None, :]).any(2).mean())

    def theirs(probes: int) -> np.ndarray:
        lists.nprobe = probes
        return np.asarray(lists.search(queries, TOP)[1])

    def ours(router: Any, most: int) -> np.ndarray:
        return search(index, queries, TOP, Budget(bytes=most * index.row_bytes), router=router).members

    routers = {name: index.router(name) for name in ("moments", "centroid")}
    cases: dict[str, Callable[[], object]] = {}
    pairs, rows, goals = [], [], []
    for probes in (1, 2) if quick else TIMED:
        wanted = recall(theirs(probes))
        named = f"faiss IVF, {probes} of {shelves} lists"
        cases[named] = lambda probes=probes: theirs(probes)  # type: ignore[misc]
        for name, router in routers.items():
            low, high = 1, len(index)
            while low < high:  # recall never falls with the budget
                middle = (low + high) // 2
                low, high = (low, middle) if recall(ours(router, middle)) >= wanted else (middle + 1, high)
            case = f"ROOTS, {name}, {low / len(index):.1%} of the texts, as good as {probes} lists"
            cases[case] = lambda router=router, low=low: ours(router, low)  # type: ignore[misc]
            pairs.append((name, case, named, wanted))
    cases["faiss flat"] = lambda: whole.search(queries, TOP)
    cases["ROOTS, all texts"] = lambda: ours(routers["moments"], len(index))
    found = take_turns({name: lambda case=case: 1e3 * timed(case) for name, case in cases.items()}, 2 if quick else 11)  # type: ignore[misc]
    rows = [Row(f"{name}, {len(queries)} questions at once", "ms", samples) for name, samples in found.items()]
    for name, case, other, wanted in pairs:
        promise = f"{name} router at recall {wanted:.3f} in batch: at most 1.5 times the time of {other}"
        goals.append(Goal(promise, ratios(found[case], found[other]), most=1.5))
    goals.append(Goal("reading everything, against faiss flat", ratios(found["ROOTS, all texts"], found["faiss flat"])))
    settings = {"texts": len(index), "width": width, "questions": len(queries), "shelves": shelves}
    return Result("time in batch", settings, rows, goals)
