"""Sampling bytes with and without the byte network's cache: the same text, and how many bytes a second.

    OMP_NUM_THREADS=1 python -m benchmarks.byte_cache [--quick] [--results FOLDER]

The recipe ``nano-bytes`` with a transformer and with nested levels between the patches, fresh weights, its patcher
fitted to the Python documentation; and the plain transformer of ``nano-plain-bytes``. The rivals take turns.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Goal, Result, Row, markdown, ratios, say, stamp, store, take_turns, timed
from unmask.data.corpus import documents, load_corpus
from unmask.sampling import Autoregressive, Sample, Settings, Vocabulary, fill_request, generate
from unmask.training.patches import fit_patcher
from unmask.training.plan import make_model
from unmask.training.recipe import load_recipe

RESULTS = Path(__file__).parent / "results"
NETWORKS = {
    "transformer between": ("nano-bytes", []),
    "levels between": ("nano-bytes", ["backbone.latent=wubu"]),
    "plain": ("nano-plain-bytes", []),
}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.byte_cache")
    parser.add_argument("--quick", action="store_true", help="short texts, two turns; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    turns, length = (2, 16) if given.quick else (5, 240)
    texts = list(documents(load_corpus("pydocs").split("train")))[: 50 if given.quick else 500]
    rows: list[Row] = []
    goals: list[Goal] = []
    for name, (recipe, overrides) in NETWORKS.items():
        model: Any = make_model(load_recipe(recipe, overrides), 260).eval()
        if getattr(model, "patcher", 0) is None:
            model.patcher = fit_patcher(model.config, texts)
        for batch in (1, 2 if given.quick else 8):
            say(f"byte_cache: {name}, {length} bytes, batch {batch}")
            more, found = _measure(model, name, batch, length, turns)
            rows += more
            goals += found
    result = Result(
        "byte_cache", {"bytes": length, "recipes": "nano-bytes, nano-plain-bytes, fresh weights"}, rows, goals
    )
    print(markdown(result, given.quick))
    if not given.quick:
        store(given.results / "byte_cache.json", {**stamp("python -m benchmarks.byte_cache"), **result.to_dict()})
    return 0


def _measure(model: Any, name: str, batch: int, length: int, turns: int) -> tuple[list[Row], list[Goal]]:
    """Return seconds a generation, and how much the cache gains."""
    vocabulary, settings = Vocabulary(), Settings(ignore_eos=True)
    texts: dict[bool, list[list[Sample]]] = {True: [], False: []}

    def write(cached: bool) -> float:
        own = replace(settings, seed=len(texts[cached]))
        requests = [fill_request([], length, vocabulary, own, index=i) for i in range(batch)]
        sampler = Autoregressive(use_cache=cached)
        return timed(lambda: texts[cached].append(generate(model, sampler, requests, vocabulary, batch_size=batch)))

    with torch.inference_mode():
        found = take_turns({"without cache": lambda: write(False), "with cache": lambda: write(True)}, turns)
    rows = [Row(f"{name}, {way}, batch {batch}", "s", samples) for way, samples in found.items()]
    pairs = zip(texts[True], texts[False], strict=True)
    same = [100.0 * (a.tokens == b.tokens) for with_, without in pairs for a, b in zip(with_, without, strict=True)]
    faster = ratios(found["without cache"], found["with cache"])
    return rows, [
        Goal(f"{name}: speed-up by the cache at batch {batch}", faster, 1.0),
        Goal(f"{name}: texts that are the same at batch {batch}, 100 %", same, 100.0, unit=" %"),
    ]


if __name__ == "__main__":
    sys.exit(main())
