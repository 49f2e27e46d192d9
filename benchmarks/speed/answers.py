"""What bf16 and torch.compile do to the network's answers that samplers ask for, by how much they ask at once.

Fresh weights of the nano and the small recipes' sizes; a canvas of 128 words, a block of 8 behind a cache of 96, a step
left to right behind the same; batch 1 and 8. A compiled network has its compilation told apart: it is paid in every
process, and again for each new number of asked positions.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns
from benchmarks.lib.parts import network
from unmask.diffusion.state import State
from unmask.models.half import halved
from unmask.training.precision import MARGIN, answers
from unmask.training.recipe import load_recipe

RECIPES = {"1 M": "nano-masked", "5 M": "stories-small-masked"}
KEPT, TOKENS = 96, 128
KINDS = {"canvas": TOKENS, "block of 8": 8, "step": 1}


def asked(model: Any, kind: str, batch: int, vocabulary: int) -> Callable[[], Any]:
    """Return a call of a kind: words that are all asked."""
    words = torch.randint(4, vocabulary, (batch, KINDS[kind]))
    at = torch.ones_like(words, dtype=torch.bool)
    if kind == "canvas":
        at[:, 0] = False
        state = State(words, "bidirectional", t=torch.ones(batch))
        return lambda: model(state, at=at)
    cache = model.new_cache(batch, KEPT + KINDS[kind])
    lengths = torch.full((batch,), KEPT)
    if kind == "step":
        state = State(words, "causal")
        return lambda: model(state, cache=cache.rewound(lengths))
    state = State(words, "block", block=torch.full_like(words, KEPT))
    at[:, 0] = False
    return lambda: model(state, at=at, cache=cache.rewound(lengths))


def processor_time(call: Callable[[], Any], times: int) -> float:
    """Return milliseconds of this thread a call."""
    began = time.thread_time()
    for _ in range(times):
        call()
    return 1e3 * (time.thread_time() - began) / times


@torch.inference_mode()
def run(options: Options) -> Result:
    """Measure every kind in both precisions, then the compiled network."""
    rows, goals, compiled = [], [], []
    times = 1 if options.quick else 10
    for size, name in RECIPES.items():
        recipe = load_recipe(name)
        model = network(recipe, TOKENS + 1).eval()
        half, vocabulary = halved(model), recipe.data.vocab_size
        for kind in KINDS:
            auto = answers(recipe, KINDS[kind])
            for batch in (1, 8):
                calls = {p: asked(net, kind, batch, vocabulary) for p, net in (("fp32", model), ("bf16", half))}
                say(f"answers: {size}, {kind}, batch {batch}")
                for call in calls.values():
                    call()
                found = take_turns(
                    {p: lambda call=call: processor_time(call, times) for p, call in calls.items()}, options.turns(7)
                )
                rows += [Row(f"{size}, {kind}, batch {batch}, {p}", "ms", found[p]) for p in found]
                told = f"bf16 against fp32: {size}, {kind}, batch {batch} (auto: {auto})"
                goals.append(Goal(told, ratios(found["fp32"], found["bf16"]), MARGIN if auto.bf16 else None))
        for kind in () if options.quick else ("canvas", "step"):
            say(f"answers: {size}, {kind}, compiled")
            torch._dynamo.reset()
            quick = torch.compile(copy.deepcopy(model))
            began = time.perf_counter()
            call = asked(quick if kind == "canvas" else _Cached(quick, model), kind, 1, vocabulary)
            call(), call()
            first = time.perf_counter() - began
            plain = asked(model, kind, 1, vocabulary)
            found = take_turns(
                {
                    "plain": lambda plain=plain: processor_time(plain, times),
                    "compiled": lambda call=call: processor_time(call, times),
                },
                options.turns(7),
            )
            faster = ratios(found["plain"], found["compiled"])
            compiled.append(
                {"case": f"{size}, {kind}, fp32", "seconds to compile": first, "times as fast": sorted(faster)[3]}
            )
    settings = {"kept": KEPT, "threads": torch.get_num_threads(), "clock": "processor time of the thread"}
    return Result("answers", settings, rows, goals, [], {"torch.compile": compiled} if compiled else {})


class _Cached:
    """A compiled network with the cache of the plain one."""

    def __init__(self, compiled: Any, plain: Any) -> None:
        self.compiled, self.new_cache = compiled, plain.new_cache

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.compiled(*given, **named)
