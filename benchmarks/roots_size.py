"""What a ROOTS index costs and saves: the core beside a million vectors, its rounding, storage, grep, prominence, time.

    python -m benchmarks.roots_size

Synthetic vectors (unit vectors around 256 random centres, streamed in chunks, with random texts) tell bytes and time,
nothing about recall. Recall, grep and prominence are measured on pydocs, whose texts need no download.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Options, Result, Row, markdown, say, stamp, store, take_turns, timed
from unmask.api.index import build_index
from unmask.data.ngram import ByteNgram
from unmask.data.pydocs import pydocs_pairs
from unmask.retrieval import core, grams, shelf_bytes, statistics
from unmask.retrieval.budget import upto
from unmask.retrieval.calibrate import found_share
from unmask.retrieval.embedders import make_embedder, read_texts
from unmask.retrieval.index import Index, open_index
from unmask.retrieval.learn import questions, truth
from unmask.retrieval.partition.partitioner import unit
from unmask.retrieval.route import make_router, opening_order
from unmask.retrieval.scan import Best, scan
from unmask.retrieval.segment import Segment
from unmask.retrieval.shelf_bytes import ShelfBytes
from unmask.retrieval.vectors import Vectors, keep

RESULTS = Path(__file__).parent / "results" / "roots_size.json"
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


def rounding(index: Index) -> list[dict[str, Any]]:
    """Return what rounding the core costs: the true nearest that shelves hold which it opens first."""
    vectors, labels = np.concatenate(list(index.vectors())), np.concatenate([s.labels() for s in index.segments])
    reader = index.reader()
    asked, owns = questions(index.segments, index.firsts, reader, 1000, np.random.default_rng(5))
    nearest = labels[truth(index.segments, index.firsts, asked, owns, 10)]
    rows = []
    for rank in (0, 4):
        exact = statistics.measure(vectors, labels, index.core.statistics.centroids, rank=rank)
        held = ShelfBytes.empty(exact.shelves)
        ways = {"float32": exact}
        for storage in ("float16", "int8"):
            arrays = core.to_arrays(exact, index.core.offsets, held, storage)
            ways[storage] = core.from_arrays(arrays).statistics
        for storage, kept in ways.items():
            order = opening_order(make_router("moments", kept).scores(asked))
            share = found_share(order, exact.count, nearest, [s * len(labels) for s in (0.05, 0.1, 0.2)])
            found = dict(zip(("recall, 5 %", "10 %", "20 %"), share.mean(0).tolist(), strict=True))
            error = float(share.std(0).max() / np.sqrt(len(share)))
            rows.append({"sketch rank": rank, "core": storage, **found, "error, at most": error})
    return rows


def grepped(index: Index, patterns: int) -> list[dict[str, Any]]:
    """Return the share of bytes that grep does not read, by kind of pattern and bitmap, beside the least possible."""
    (segment,) = index.segments
    labels = segment.labels()
    texts = [segment.text(row) for row in range(len(segment))]
    size = np.bincount(labels, [len(text) for text in texts], minlength=index.manifest.shelves)
    words = Counter(word for text in texts for word in set(re.findall(rb"[A-Za-z_]{4,}", text)))
    rng = np.random.default_rng(0)

    def cut(length: int) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < patterns:
            text = texts[int(rng.integers(len(texts)))]
            if len(text) > length:
                at = int(rng.integers(len(text) - length))
                found.append(text[at : at + length])
        return found

    def some(low: int, high: int) -> list[bytes]:
        pool = sorted(word for word, count in words.items() if low <= count <= high)
        return [pool[int(place)] for place in rng.integers(len(pool), size=patterns)] if pool else []

    kinds = {
        "8 bytes cut from a text": cut(8),
        "16 bytes": cut(16),
        "32 bytes": cut(32),
        "words in 1 to 3 texts": some(1, 3),
        "words in 20 to 100": some(20, 100),
        "words in more than 300": some(301, len(texts)),
    }
    bitmaps = {n: grams.empty(index.manifest.shelves) for n in grams.SIZES}
    for n, bitmap in bitmaps.items():
        grams.take(bitmap, texts, labels, n)
    rows = []
    for kind, wanted in kinds.items():
        if not wanted:
            continue
        row: dict[str, Any] = {"pattern": kind}
        tests: dict[str, Callable[[bytes], np.ndarray]] = {
            "counts alone": lambda p: shelf_bytes.may_hold(index.signs.most, p),
            **{
                f"{n}-grams": lambda p, n=n: (
                    shelf_bytes.may_hold(index.signs.most, p) & grams.may_hold(bitmaps[n], p, n)
                )
                for n in grams.SIZES
            },
        }
        holding = [np.unique(labels[[row for row, text in enumerate(texts) if p in text]]) for p in wanted]
        for name, test in tests.items():
            opened = [test(p) for p in wanted]
            assert all(one[at].all() for one, at in zip(opened, holding, strict=True))  # nothing is missed
            row[name] = float(np.mean([1 - size[one].sum() / size.sum() for one in opened]))
        row["shelves that hold it"] = float(np.mean([1 - size[at].sum() / size.sum() for at in holding]))
        rows.append(row)
    rows.append({"pattern": "bits set"} | {f"{n}-grams": float(np.unpackbits(b).mean()) for n, b in bitmaps.items()})
    return [dict.fromkeys(rows[0]) | row for row in rows]


def prominences(most: int) -> list[dict[str, Any]]:
    """Return what a prior of prominence does for finding the document of a docstring's first sentence (hit at 10)."""
    pairs = pydocs_pairs()[:most]
    reader = make_embedder("wordllama-256")
    queries = read_texts(reader, [query for query, _ in pairs]).vectors
    found = read_texts(reader, [document for _, document in pairs])
    raw = [document.encode() for _, document in pairs]
    model = ByteNgram(5).fit(raw)
    length = np.log([len(text) for text in raw])
    surprise = np.array([model.nats(text)[:-1].mean() for text in raw])
    scores = queries @ found.vectors.T
    halves = np.random.default_rng(0).permutation(len(pairs))
    learn, judge = halves[: len(pairs) // 2], halves[len(pairs) // 2 :]

    def hit(prior: np.ndarray, rows: np.ndarray) -> np.ndarray:
        ours = scores[rows] + prior
        own = ours[np.arange(len(rows)), rows]
        return (ours > own[:, None]).sum(1) < 10

    rows = []
    plain = hit(np.zeros(len(pairs)), judge)
    for name, values in {
        "none": np.zeros(len(pairs)),
        "length of the mean vector": found.prominence,
        "mean surprisal a byte, order 5": surprise,
        "log length": length,
        "shuffled (control)": np.random.default_rng(1).permutation(found.prominence),
    }.items():
        z = (values - values.mean()) / max(float(values.std()), 1e-9)
        best = max((-0.06, -0.03, -0.01, 0.0, 0.01, 0.03, 0.06), key=lambda w, z=z: (hit(w * z, learn).mean(), -abs(w)))
        hits = hit(best * z, judge)
        change = hits.astype(float) - plain
        rows.append(
            {
                "prior": name,
                "weight chosen on half": best,
                "hit at 10, other half": float(hits.mean()),
                "change": float(change.mean()),
                "its error": float(change.std() / np.sqrt(len(change))),
                "correlation with log length": float(np.corrcoef(z, length)[0, 1]) if values.std() else None,
                "with the mean vector's": float(np.corrcoef(z, found.prominence)[0, 1]) if values.std() else None,
            }
        )
    return rows


def run(count: int, most: int | None, patterns: int, options: Options) -> Result:
    """Measure all of it."""
    settings = {"vectors": count, "width": WIDTH, "shelves": SHELVES, "pydocs texts, at most": most}
    result = Result("roots_size", settings)
    result.tables["the core"], speed = core_size(count)
    result.tables["streaming"] = [{"what": "measured and merged, vectors and texts a second", "number": speed}]
    result.rows = latency(count, options.turns(7))
    with tempfile.TemporaryDirectory() as folder:
        built = build_index("pydocs", Path(folder) / "index", max_texts=most)
        index = open_index(built.index)
        result.tables["building pydocs"] = [
            {
                "texts": built.texts,
                "MB": built.bytes / 1e6,
                "seconds": built.seconds,
                "MB a second": built.bytes / 1e6 / built.seconds,
                "bytes on disk": sum(index.manifest.files.values()),
            }
        ]
        say("roots_size: rounding")
        result.tables["rounding the core, pydocs, moments router"] = rounding(index)
        say("roots_size: grep")
        result.tables["share of bytes that grep does not read"] = grepped(index, patterns)
    say("roots_size: prominence")
    result.tables["prominence as a prior, pydocs pairs"] = prominences(most or 10**9)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Measure and store one file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roots_size", description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000, help="synthetic ones")
    parser.add_argument("--quick", action="store_true", help="few vectors and texts; nothing is stored by default")
    parser.add_argument("--results", type=Path, help=f"default {RESULTS.name} in benchmarks/results")
    given = parser.parse_args(arguments)
    found = run(
        2000 if given.quick else given.vectors,
        300 if given.quick else None,
        10 if given.quick else 200,
        Options(quick=given.quick),
    )
    print(markdown(found, given.quick))
    where = given.results or (None if given.quick else RESULTS)
    if where is not None:
        store(where, {**stamp("python -m benchmarks.roots_size"), **found.to_dict()})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
