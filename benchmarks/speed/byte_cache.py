"""Sampling bytes with and without the byte network's cache: the same text, and how many bytes a second.

The recipe ``nano-bytes`` with a transformer and with nested levels between the patches, fresh weights, its patcher
fitted to the Python documentation; and the plain transformer of ``nano-plain-bytes``. The rivals take turns.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns, timed
from unmask.data.corpus import documents, load_corpus
from unmask.sampling import Autoregressive, Sample, Settings, Vocabulary, fill_request, generate
from unmask.training.network import make_model
from unmask.training.patches import fit_patcher
from unmask.training.recipe import load_recipe

NETWORKS = {
    "transformer between": ("nano-bytes", []),
    "levels between": ("nano-bytes", ["backbone.latent=wubu"]),
    "plain": ("nano-plain-bytes", []),
}


def run(options: Options) -> Result:
    """Time each network at batch 1 and 8."""
    turns, length = options.turns(5), 16 if options.quick else 240
    texts = list(documents(load_corpus("pydocs").split("train")))[: 50 if options.quick else 500]
    rows: list[Row] = []
    goals: list[Goal] = []
    for name, (recipe, overrides) in NETWORKS.items():
        model: Any = make_model(load_recipe(recipe, overrides), 260).eval()
        if getattr(model, "patcher", 0) is None:
            model.patcher = fit_patcher(model.config, texts)
        for batch in (1, 2 if options.quick else 8):
            say(f"byte_cache: {name}, {length} bytes, batch {batch}")
            more, found = _measure(model, name, batch, length, turns)
            rows += more
            goals += found
    settings = {"bytes": length, "recipes": "nano-bytes, nano-plain-bytes, fresh weights"}
    return Result("byte_cache", settings, rows, goals)


def _measure(model: Any, name: str, batch: int, length: int, turns: int) -> tuple[list[Row], list[Goal]]:
    """Return seconds a generation, and how much the cache gains."""
    vocabulary, settings = Vocabulary(), Settings(ignore_eos=True)
    texts: dict[bool, list[list[Sample]]] = {True: [], False: []}

    def write(cached: bool) -> float:
        own = settings.but(seed=len(texts[cached]))
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
