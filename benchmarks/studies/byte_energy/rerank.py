"""What ``unmask index search --rerank`` does to the mean reciprocal rank of the right text among 50 candidates.

    OMP_NUM_THREADS=1 nice -n 10 python -m benchmarks.studies.byte_energy.rerank [--data DATA] [--quick]

DATA holds ``cranfield/`` and ``xquad/`` in the layout of BEIR (:mod:`benchmarks.lib.worlds`); without it pydocs
alone is measured (a docstring's first sentence finds what follows it). Each set is indexed and searched as a
user would. Controls: no new order, a random one. ``with twins``: beside each text one of its words in random order,
which vectors that do not see order cannot tell from it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from benchmarks.lib.worlds import cranfield_judgements, lines
from unmask.api.index import build_index
from unmask.data.pydocs import pydocs_pairs
from unmask.roots.embed.embedders import read_texts
from unmask.roots.index import open_index
from unmask.roots.rerank.rerank import rerank
from unmask.roots.search.budget import RERANKS, Budget
from unmask.roots.search.search import search

TOP = 50
ASKED = 400  # queries of a set, at most
NONE, RANDOM = "none (control)", "random (control)"


class World(NamedTuple):
    """Texts, queries, and which texts are right."""

    name: str
    texts: list[str]
    queries: list[str]
    right: list[set[str]]


def worlds(data: Path | None) -> Iterator[World]:
    """Yield the sets that can be measured."""
    pairs = pydocs_pairs()
    yield World("pydocs", [text for _, text in pairs], [query for query, _ in pairs], [{text} for _, text in pairs])
    if data is None:
        return
    texts, questions, gains = cranfield_judgements(data / "cranfield")
    right = [{texts[place] for place in np.flatnonzero(row)} for row in gains]
    yield World("cranfield", texts, questions, right)
    for language in ("en", "hi"):
        held = {text["_id"]: text["text"] for text in lines(data / "xquad" / f"corpus.{language}.jsonl.gz")}
        asked = lines(data / "xquad" / f"queries.{language}.jsonl.gz")
        world = World(
            f"xquad {language}",
            list(held.values()),
            [query["text"] for query in asked],
            [{held[query["doc"]]} for query in asked],
        )
        yield world
        if language == "en":
            yield world._replace(name="xquad en with twins", texts=with_twins(world.texts))


def with_twins(texts: list[str]) -> list[str]:
    """Return texts, and each with its words in random order, all in random order: of equals none comes first."""
    rng = np.random.default_rng(0)
    both = texts + [" ".join(rng.permutation(text.split())) for text in texts]
    return [both[place] for place in rng.permutation(len(both))]


def measured(world: World, most: int) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """Return a row of each order, and its reciprocal ranks."""
    rows = np.random.default_rng(7).permutation(len(world.queries))[:most]
    rows = [row for row in rows.tolist() if world.right[row]]
    queries, right = [world.queries[row] for row in rows], [world.right[row] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "texts.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in world.texts), "utf-8")
        build_index(str(source), Path(folder) / "index", passage=0, say=lambda line: None)
        index = open_index(Path(folder) / "index")
        found = search(index, read_texts(index.reader(), queries).vectors, TOP, Budget(exact=True))
        reciprocal: dict[str, list[float]] = {name: [] for name in (NONE, RANDOM, *RERANKS)}
        seconds = dict.fromkeys(RERANKS, 0.0)
        rng = np.random.default_rng(0)
        rerank(index, "x", found.members[0], found.scores[0].astype(float), "energy")  # learns once, in no query's time
        for query, good, members, cosine in zip(queries, right, found.members, found.scores, strict=True):
            is_right = np.array([index.text(int(member)) in good for member in members])
            orders = {NONE: np.arange(len(members)), RANDOM: rng.permutation(len(members))}
            for name in RERANKS:
                began = time.process_time()
                orders[name] = rerank(index, query, members, cosine.astype(float), name).order
                seconds[name] += time.process_time() - began
            for name, order in orders.items():
                reciprocal[name].append(1 / (1 + int(is_right[order].argmax())) if is_right.any() else 0.0)
    told: list[dict[str, Any]] = []
    for name, values in reciprocal.items():
        gain = np.array(values) - np.array(reciprocal[NONE])
        error = 1.96 * gain.std(ddof=1) / len(gain) ** 0.5
        told.append(
            {
                "set": world.name,
                "rerank": name,
                "MRR": float(np.mean(values)),
                "gain": None if name == NONE else f"{gain.mean():+.3f} ± {error:.3f}",
                "ms a query": 1000 * seconds[name] / len(gain) if name in seconds else None,
                "queries": len(gain),
                "texts": len(set(world.texts)),
            }
        )
    return told, reciprocal


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--data", type=Path, help="folder with cranfield/ and xquad/; default: pydocs alone")
    parser.add_argument("--quick", action="store_true", help="20 queries a set; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    rows, by_query = [], {}
    for world in worlds(given.data):
        told, by_query[world.name] = measured(world, 20 if given.quick else ASKED)
        rows += told
        say(f"{world.name}: {time.process_time():.0f} s of processor")
    print("\n".join(table(rows)))
    if not given.quick:
        settings = {"candidates": TOP, "gain": "paired, 95 % normal interval over queries", "seed of queries": 7}
        command = f"OMP_NUM_THREADS=1 nice -n 10 python -m {__spec__.name} --data DATA"
        rounded = {name: {k: np.round(v, 4).tolist() for k, v in found.items()} for name, found in by_query.items()}
        store(given.results / "rerank.json", {**stamp(command), "settings": settings, "rows": rows, "ranks": rounded})
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
