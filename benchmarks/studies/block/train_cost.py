"""What a training step of blocks costs against a causal one of the same network and tokens.

    python -m benchmarks.studies.block.train_cost [--quick]

Fresh weights of the nano and stories-small recipes, one thread, bf16 autocast: processor time of whole steps (loss,
backward, update), so a busy machine does not count. Rivals take turns step by step. ``whole recipe`` passes through the
causal warm start as a training does, two steps in five; the other rows of blocks are without one. Results go to
``benchmarks/results/block_train_cost.json``; ``--quick`` takes two steps of small networks and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time

import torch

from benchmarks.lib.measure import Spread
from benchmarks.lib.parts import SyntheticBlocks, network
from benchmarks.lib.places import RESULTS
from benchmarks.speed.train_step import bare_step
from unmask.data.vocabulary import Vocabulary
from unmask.training.combination import make_process
from unmask.training.recipe import load_recipe

RESULT = RESULTS / "block_train_cost.json"
RECIPES = {"nano": 2048, "stories-small": 4096}
"""Base recipe -> vocabulary."""
COLD = "process.causal_warmup=0"
ROWS: dict[str, tuple[str, list[str]]] = {
    "causal": ("causal", []),
    "masked": ("masked", [COLD]),
    "masked, whole recipe": ("masked", []),
    "block 8": ("block", [COLD]),
    "block 8, `causal_weight` 0": ("block", [COLD, "process.causal_weight=0"]),
    "block 4": ("block", [COLD, "process.block_size=4"]),
    "block 8, whole recipe": ("block", []),
}
ROUND = 10
"""Steps of a turn: a whole pass through a recipe's schedules."""


def milliseconds(base: str, vocabulary: int, turns: int, quick: bool) -> dict[str, list[float]]:
    """Return the processor time of a step of each row, a mean a turn."""
    steps = {}
    small = ["backbone.hidden_size=32", "backbone.num_hidden_layers=1"] if quick else []
    for name, (process, given) in ROWS.items():
        recipe = load_recipe(f"{base}-{process}", [*given, *small, "data.source=pydocs", "training.precision=bf16"])
        rows = recipe.training.per_device_train_batch_size
        blocks = SyntheticBlocks(64 * rows, recipe.data.length, vocabulary, None)
        words = Vocabulary(size=vocabulary)
        steps[name] = bare_step(recipe, make_process(recipe, words), network(recipe), blocks, ROUND)
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(-1, turns):  # the first warms up
        spent = dict.fromkeys(steps, 0.0)
        for _ in range(1 if quick else ROUND):
            for name, step in steps.items():
                began = time.process_time()
                step()
                spent[name] += time.process_time() - began
        if turn >= 0:
            for name, seconds in spent.items():
                taken[name].append(1e3 * seconds / ROUND)
    return taken


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and keep it unless it is quick."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two steps of small networks: does it run at all?")
    quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    rows = []
    print("| network | training | ms a step (quartiles) | against causal |\n|---|---|---|---|")
    for base, vocabulary in RECIPES.items():
        taken = milliseconds(base, vocabulary, 1 if quick else 5, quick)
        for name, each in taken.items():
            ms = Spread.of(each)
            ratio = Spread.of([one / causal for one, causal in zip(each, taken["causal"], strict=True)]).median
            rows.append({"network": base, "row": name, "ms": [ms.low, ms.median, ms.high], "ratio": round(ratio, 3)})
            print(f"| {base} | {name} | {ms.median:.0f} ({ms.low:.0f} to {ms.high:.0f}) | {ratio:.2f}x |", flush=True)
    if not quick:
        kept = {"hardware": f"{platform.machine()}, 1 thread, bf16", "date": time.strftime("%Y-%m-%d"), "rows": rows}
        RESULT.write_text(json.dumps(kept, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
