"""What a sampling step costs in a block behind a cache, against a cached step left to right of the same network.

    python -m benchmarks.studies.block.step [--quick]

Fresh weights of two sizes, V 2048, texts of 128 tokens, batch 1 and 8, one thread: processor time of the steps that ask
the network, so a busy machine does not count. Rivals take turns step by step. Results go to
``benchmarks/results/block_step.json``; ``--quick`` writes a few tokens and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from typing import Any

import torch

from benchmarks.lib.places import RESULTS
from unmask.data.vocabulary import Vocabulary
from unmask.models.transformer import Transformer, TransformerConfig
from unmask.sampling import SAMPLERS, fill_request
from unmask.sampling.settings import Settings

RESULT = RESULTS / "block_step.json"
WORDS = Vocabulary(size=2048)
SIZES = {"1.0 M (nano)": (128, 4, 4, 320), "5.2 M": (256, 6, 8, 768)}
RULES: dict[str, dict[str, Any]] = {
    "confidence": {"steps": 4, "reveal": "linear"},
    "ancestral": {"steps": 4},
    "entropy-bound": {"entropy_budget": 9.0},
}


def network(width: int, layers: int, heads: int, inner: int, room: int) -> Transformer:
    """Return a network with fresh weights."""
    torch.manual_seed(0)
    sizes = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
    }
    config = TransformerConfig(vocab_size=WORDS.size, max_position_embeddings=room + 1, output_shift=1, **sizes)
    return Transformer(config).eval()


def rivals() -> dict[str, Settings]:
    """Return the settings of each row; the first is what the others are held against."""
    found: dict[str, Settings] = {"left to right": SAMPLERS.facts("autoregressive")(ignore_eos=True)}
    for size in (8, 16):
        for rule, own in RULES.items():
            found[f"block {size}, {rule}"] = SAMPLERS.facts("block")(rule=rule, block_size=size, ignore_eos=True, **own)
    return found


def steps(model: Transformer, batch: int, tokens: int, turns: int) -> dict[str, list[float]]:
    """Return the milliseconds of each row's steps."""
    asked = rivals()
    samplers = {name: SAMPLERS.get(own.name)() for name, own in asked.items()}
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(turns):
        states = {
            name: samplers[name].start(
                [fill_request([], tokens, WORDS, own, index=turn * batch + row) for row in range(batch)], WORDS
            )
            for name, own in asked.items()
        }
        while states:
            for name, state in list(states.items()):
                began = time.thread_time()
                after, _ = samplers[name].step(model, state)
                spent = time.thread_time() - began
                if int(after.forwards.sum()) > int(state.forwards.sum()):
                    taken[name].append(1e3 * spent)
                if bool(after.done.all()):
                    del states[name]
                else:
                    states[name] = after
    return taken


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and keep it unless it is quick."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few tokens: does it run at all?")
    quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    tokens, turns = (16, 1) if quick else (128, 3)
    rows = []
    print("| network | batch | written | ms a step | against left to right | steps a text |\n|---|---|---|---|---|---|")
    for size, dims in SIZES.items():
        model = network(*dims, room=tokens)
        for batch in (1, 8):
            taken = steps(model, batch, tokens, turns)
            base = statistics.median(next(iter(taken.values())))
            for name, each in taken.items():
                middle, count = statistics.median(each), len(each) / turns
                rows.append({"network": size, "batch": batch, "row": name, "ms": round(middle, 3)})
                rows[-1] |= {"ratio": round(middle / base, 3), "steps": round(count, 1)}
                print(f"| {size} | {batch} | {name} | {middle:.2f} | {middle / base:.2f}x | {count:.0f} |", flush=True)
    if not quick:
        kept = {"tokens": tokens, "turns": turns, "hardware": f"{platform.machine()}, 1 thread", "rows": rows}
        RESULT.write_text(json.dumps(kept | {"date": time.strftime("%Y-%m-%d")}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
