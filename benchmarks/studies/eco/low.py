"""Aria's fallback for little memory: does ``aria-eco-low`` train under a cap, with every step finite?

    python -m benchmarks.studies.eco.low --source stories-hi.train.jsonl.gz --cap 1536

The recipe at full size (its own vocabulary, width, length and rows a pass), fewer steps. Held against the cap is the
most that the whole process had resident, by the kernel's own high-water mark: Python, PyTorch, the tokenizer's
training, weights, moments, average and activations. The trainer stops at a loss that is not finite; gradients are
looked at here. The exit status is 1 if either promise breaks. Results go to ``benchmarks/results/eco_low.json``.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
from pathlib import Path

import torch

from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.training.recipe import load_recipe
from unmask.training.train import train

RESULT = RESULTS / "eco_low.json"


def main() -> int:
    """Train under the cap and tell what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--cap", type=int, default=1536, help="MiB that the process may have resident")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--passes", type=int, default=4, help="passes of one row a step; the recipe has 32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    overrides = [
        f"data.source={given.source}",
        f"training.max_steps={given.steps}",
        f"training.gradient_accumulation_steps={given.passes}",
        "training.logging_steps=1",
        "training.warmup_steps=2",
        "training.valid_blocks=0",
    ]
    with tempfile.TemporaryDirectory() as folder:
        run = train(load_recipe("aria-eco-low", overrides), Path(folder) / "run")
        rows = [row for row in run.metrics() if "loss" in row]
    losses = [float(row["loss"]) for row in rows]
    norms = [float(row["grad_norm"]) for row in rows if "grad_norm" in row]
    found = {
        "cap_mib": given.cap,
        "peak_resident_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "parameters": run.manifest["parameters"],
        "steps": len(losses),
        "passes a step": given.passes,
        "losses": losses,
        "gradient norms": norms,
        "finite": all(map(math.isfinite, [*losses, *norms])),
        "tokens_seen": run.manifest["tokens_seen"],
        "seconds": run.manifest["train_seconds"],
        "source": Path(given.source).name,
    }
    command = f"python -m {__spec__.name} --source SOURCE --cap {given.cap} --steps {given.steps}"
    store(given.results, {**stamp(command), **found})
    print(found)
    kept = found["finite"] and len(losses) == given.steps and found["peak_resident_mib"] <= given.cap
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
