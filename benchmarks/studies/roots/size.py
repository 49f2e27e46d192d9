"""What a ROOTS index costs and saves: the core beside a million vectors, its rounding, storage, grep, prominence, time.

    python -m benchmarks.studies.roots.size

Synthetic vectors (unit vectors around 256 random centres, streamed in chunks, with random texts) tell bytes and time,
nothing about recall. Recall, grep and prominence are measured on pydocs, whose texts need no download.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.measure import Options, Result, say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import markdown
from benchmarks.studies.roots.synthetic import SHELVES, WIDTH, core_size, latency
from unmask.api.index import build_index
from unmask.data.ngram import ByteNgram
from unmask.data.pydocs import pydocs_pairs
from unmask.roots.building.learn import questions, truth
from unmask.roots.embed.embedders import make_embedder, read_texts
from unmask.roots.index import Index, open_index
from unmask.roots.route import make_router, opening_order
from unmask.roots.shelves import core, grams, shelf_bytes, statistics
from unmask.roots.shelves.dial import found_share
from unmask.roots.shelves.shelf_bytes import ShelfBytes

RESULT = RESULTS / "roots_size.json"


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
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000, help="synthetic ones")
    parser.add_argument("--quick", action="store_true", help="few vectors and texts; nothing is stored by default")
    parser.add_argument("--results", type=Path, help="file; default: roots_size.json in benchmarks/results")
    given = parser.parse_args(arguments)
    found = run(
        2000 if given.quick else given.vectors,
        300 if given.quick else None,
        10 if given.quick else 200,
        Options(quick=given.quick),
    )
    print(markdown(found, given.quick))
    where = given.results or (None if given.quick else RESULT)
    if where is not None:
        store(where, {**stamp(f"python -m {__spec__.name}"), **found.to_dict()})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
