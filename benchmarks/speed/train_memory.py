"""Memory of training on a CPU: what ``--dry-run`` estimates beside what a run takes.

Each recipe trains some steps in a process of its own, on pydocs, without evaluation. The process has trained a tiny
network of the recipe before, so that what Python, PyTorch and the Trainer load once is not counted. The peak of the
resident set is taken over the steps, above what is there once data and network are made, and the network's weights are
added. Linux knows the exact peak. With MALLOC_MMAP_THRESHOLD_=65536 the C library keeps nothing that was freed: what
is measured then are the tensors.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lib.measure import Options, Result, say

RECIPES = ("nano-causal", "nano-masked", "nano-sparse", "nano-eco", "nano-bytes", "nano-plain-bytes", "nano-flatten")
STEPS = 12
TINY = ["training.max_steps=2", "training.per_device_train_batch_size=1", "backbone.num_hidden_layers=2"]


def measure(name: str, count: int) -> dict[str, Any]:
    """Train one recipe in this process and return estimate and peak."""
    from unmask.evaluation.process_memory import Memory, peak_memory
    from unmask.training import train as module
    from unmask.training.plan import plan
    from unmask.training.recipe import load_recipe

    steps, seen = module._train, list[Memory]()

    def watched(*args: Any) -> Any:
        run, memory = peak_memory(lambda: steps(*args))
        seen.append(memory)
        return run

    given = ["training.valid_blocks=0", "training.threads=1"]
    recipe = load_recipe(name, [*given, f"training.max_steps={count}"])
    with tempfile.TemporaryDirectory() as folder:
        module.train(load_recipe(name, [*given, *TINY]), Path(folder) / "first")
        module._train = watched
        run = module.train(recipe, Path(folder) / "run")
        cost = plan(recipe, run.tokenizer.vocabulary)
    measured = seen[0].above + 4 * cost.parameters
    return {
        "recipe": name,
        "parameters": cost.parameters,
        "estimate": cost.memory_bytes,
        "measured": measured,
        "ratio": round(cost.memory_bytes / measured, 3),
        "method": seen[0].method,
    }


def run(options: Options) -> Result:
    """Measure each recipe in a process of its own."""
    rows = []
    for name in RECIPES[:1] if options.quick else RECIPES:
        say(f"train_memory: {name}")
        command = [sys.executable, "-m", __name__, name, str(2 if options.quick else STEPS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return Result("train_memory", {"steps": STEPS}, tables={"bytes": rows})


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
