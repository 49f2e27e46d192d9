"""A million vectors that nobody wrote: the core's bytes beside theirs, and seconds a search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.lib.measure import Row, say, take_turns, timed
from unmask.roots.partition.partitioner import unit
from unmask.roots.route import make_router
from unmask.roots.search.budget import upto
from unmask.roots.search.scan import Best, scan
from unmask.roots.shelves import core, grams, shelf_bytes, statistics
from unmask.roots.shelves.segment import Segment
from unmask.roots.shelves.shelf_bytes import ShelfBytes
from unmask.roots.shelves.vectors import Vectors, keep

WIDTH, SHELVES = 256, 256
CHUNK = 50_000


def chunks(count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield vectors, their shelves, and the centres."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(SHELVES, WIDTH)).astype(np.float32))
    for first in range(0, count, CHUNK):
        labels = rng.integers(0, SHELVES, min(CHUNK, count - first))
        noise = rng.standard_normal((len(labels), WIDTH), np.float32)
        yield unit(centres[labels] + np.float32(0.08) * noise), labels, centres


def core_size(count: int) -> tuple[list[dict[str, Any]], float]:
    """Stream vectors and texts into statistics; return the bytes of each kind of core, and vectors a second."""
    whole, held, bitmaps, took = None, ShelfBytes.empty(SHELVES), grams.empty(SHELVES), 0.0
    rng = np.random.default_rng(1)
    for vectors, labels, centres in chunks(count, 0):
        text = rng.integers(97, 123, (len(labels), 32), np.uint8).tobytes()
        texts = [text[at : at + 32] for at in range(0, len(text), 32)]
        began = time.perf_counter()
        part = statistics.measure(vectors, labels, core.rounded(centres, "float16"), rank=4)
        whole = part if whole is None else statistics.merge(whole, part)
        held = shelf_bytes.merge(held, shelf_bytes.measure(texts, labels, SHELVES))
        grams.take(bitmaps, texts, labels, 4)
        took += time.perf_counter() - began
    assert whole is not None and int(whole.count.sum()) == count
    rows = []
    for storage in ("float16", "int8"):
        for rank in (0, 4):
            kept = replace(whole, sketch=whole.sketch[:, :rank])
            arrays = core.to_arrays(kept, np.zeros(SHELVES, np.float32), held, storage)
            size = sum(array.nbytes for array in arrays.values())
            rows.append(
                {
                    "core": storage,
                    "sketch rank": rank,
                    "core bytes": size,
                    "bytes a shelf": size / SHELVES,
                    "float32 vectors / core": 4 * WIDTH * count / size,
                    "int8 vectors / core": (WIDTH + 4) * count / size,
                }
            )
            say(f"roots_size: {rows[-1]}")
    signs = bitmaps.nbytes + held.most.nbytes
    rows.append({"core": "grep's bitmaps and counts, apart", "core bytes": signs, "bytes a shelf": signs / SHELVES})
    blank = dict.fromkeys(rows[0])
    return [blank | row for row in rows], count / took


def latency(count: int, turns: int) -> list[Row]:
    """Return milliseconds a query: a tenth and a twentieth of the shelves' texts, and everything by brute force."""
    parts = [(keep(vectors, "int8"), labels, vectors) for vectors, labels, _ in chunks(count, 0)]
    labels = np.concatenate([part[1] for part in parts])
    order = np.argsort(labels, kind="stable")
    values = np.concatenate([part[0].values for part in parts])[order]
    scales = np.concatenate([part[0].scales for part in parts])[order]
    floats = np.concatenate([part[2] for part in parts])[order]
    del parts
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=SHELVES))])
    none, sizes = np.zeros(count, np.float32), np.diff(starts)
    numbers, digests, offsets = none.astype(np.int32), none.astype(np.uint64), np.zeros(count + 1, np.int64)
    segment = Segment(Vectors(values, scales), none, numbers, numbers, digests, offsets, starts, b"")
    sample = np.sort(np.random.default_rng(2).permutation(count)[:20_000])
    kept = statistics.measure(floats[sample], labels[order][sample], next(chunks(1, 0))[2], rank=4)
    router = make_router("moments", kept)
    queries = unit(floats[:: max(1, count // 20)][:20] + np.float32(0.03))
    asked = iter(np.tile(np.arange(len(queries)), 1000).tolist())

    def through(share: float) -> None:
        query = queries[[next(asked)]]
        best = Best.none(1, 10)
        scan([segment], [0], query, upto(router.scores(query), sizes, int(share * count)), best)

    def brute() -> None:
        scores = floats @ queries[next(asked)]
        chosen = np.argpartition(-scores, 9)[:10]
        chosen[np.argsort(-scores[chosen])]

    ways: dict[str, Callable[[], None]] = {
        "index, 5 % of the texts": lambda: through(0.05),
        "index, 10 % of the texts": lambda: through(0.1),
        "brute force, numpy float32, one thread": brute,
    }
    try:
        import faiss

        faiss.omp_set_num_threads(1)
        flat = faiss.IndexFlatIP(WIDTH)
        flat.add(floats)
        ways["faiss flat, one thread"] = lambda: flat.search(queries[[next(asked)]], 10)
    except ImportError:
        pass
    found = take_turns({name: lambda way=way: 1e3 * timed(way, 5) / 5 for name, way in ways.items()}, turns)
    return [Row(f"{count:,} vectors: {name}", "ms", samples) for name, samples in found.items()]
