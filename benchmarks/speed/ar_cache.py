"""Left-to-right sampling with the key-value cache against without: the same text, and how much sooner."""

from __future__ import annotations

import torch

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns, timed
from benchmarks.lib.parts import network, small
from unmask.sampling import Autoregressive, Sample, Settings, Vocabulary, fill_request, generate


def run(options: Options) -> Result:
    """Measure at batch 1 and 8."""
    tokens = 16 if options.quick else 256
    turns = options.turns(7)
    model = network(small("causal", options.quick), tokens + 1).eval()
    vocabulary = Vocabulary()
    settings = Settings(ignore_eos=True)
    rows, goals, notes = [], [], []
    for batch in (1, 2 if options.quick else 8):
        say(f"ar_cache: {tokens} tokens, batch {batch}, {turns} generations each")
        texts: dict[bool, list[list[Sample]]] = {True: [], False: []}

        def write(cached: bool, seed: int, batch: int = batch) -> list[Sample]:
            own = settings.but(seed=seed)
            requests = [fill_request([], tokens, vocabulary, own, index=i) for i in range(batch)]
            return generate(model, Autoregressive(use_cache=cached), requests, vocabulary, batch_size=batch)

        def case(cached: bool, texts: dict[bool, list[list[Sample]]] = texts, write=write) -> float:  # noqa: ANN001
            return timed(lambda: texts[cached].append(write(cached, seed=len(texts[cached]) + 1)))

        with torch.inference_mode():
            write(True, 0)
            found = take_turns({"without cache": lambda: case(False), "with cache": lambda: case(True)}, turns)
        rows += [Row(f"autoregressive, {name}, batch {batch}", "s", samples) for name, samples in found.items()]
        faster = ratios(found["without cache"], found["with cache"])
        same = [
            a.tokens == b.tokens
            for with_, without in zip(texts[True], texts[False], strict=True)
            for a, b in zip(with_, without, strict=True)
        ]
        goals.append(Goal(f"speed-up by the cache at batch {batch}, >= 3x", faster, 3.0))
        goals.append(
            Goal(f"texts that are the same at batch {batch}, 100 %", [100.0 * s for s in same], 100.0, unit=" %")
        )
        if not all(same):
            notes.append(f"{same.count(False)} of {len(same)} texts at batch {batch} differ: this is a bug")
    sizes = {"tokens": tokens, "recipe": "stories-small-causal, fresh weights"}
    return Result("ar_cache", sizes, rows, goals, notes)
