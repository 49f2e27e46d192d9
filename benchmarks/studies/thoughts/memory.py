"""What ``thought-500m`` needs to train: measured at reduced depth, extrapolated to its own, and labelled so.

    python -m benchmarks.studies.thoughts.memory

Two runs of the recipe with few layers, everything else at full size (width, vocabulary, thoughts of 32 x 32 x 16, four
passages of 256 a pass, gradient checkpointing, AdamW), each a process of its own that reports the most it had resident
while it trained, less what it had before the network was built. Memory is linear in the depth, so the two give a line.
Tokens are random: memory does not depend on them. On a GPU the allocator's own high-water mark is read instead, at
full depth.

Results go to ``benchmarks/results/thought_memory.json``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.network_losses import training_loss
from unmask.models.cost import parameter_count
from unmask.training.combination import make_process
from unmask.training.network import make_model
from unmask.training.plan import plan
from unmask.training.recipe import load_recipe

RESULT = RESULTS / "thought_memory.json"
VOCABULARY = 50260
GIB = 1 << 30


def measured(layers: int, steps: int, passes: int) -> dict[str, float]:
    """Train so many layers and return what it took."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe = load_recipe("thought-500m", [f"backbone.num_hidden_layers={layers}"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    model = make_model(recipe, VOCABULARY).to(device).train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    process = make_process(recipe, Vocabulary(size=VOCABULARY))
    optimiser = torch.optim.AdamW(model.parameters(), recipe.training.learning_rate, fused=True)
    draw = torch.Generator().manual_seed(0)
    began, losses = time.perf_counter(), []
    for step in range(steps):
        for number in range(passes):
            tokens = torch.randint(6, VOCABULARY, (1, recipe.data.length), generator=draw)
            tokens[:, 0] = 1
            order = torch.tensor([step * passes + number])
            batch = Batch(tokens, torch.ones_like(tokens), order, 1).to(device)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                loss = training_loss(process, model, batch, 0, 0.9).loss / passes
            loss.backward()
            losses.append(float(loss.detach()) * passes)
        optimiser.step()
        optimiser.zero_grad()
    took = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    return {
        "layers": layers,
        "parameters": parameter_count(model),
        "bytes": peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before,
        "estimated": plan(recipe, Vocabulary(size=VOCABULARY)).memory_bytes,
        "tokens_per_second": steps * passes * recipe.data.length / took,
        "losses": losses,  # type: ignore[dict-item]
    }


def main() -> int:
    """Measure, extrapolate, store."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--one", action="store_true", help="measure the first depth and print it as JSON")
    parser.add_argument("--results", type=Path, default=RESULT)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.layers[0], given.steps, given.passes)))
        return 0
    rows = []
    for layers in given.layers:
        words = ["--one", "--layers", str(layers), "--steps", str(given.steps), "--passes", str(given.passes)]
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, *words],
            capture_output=True,
            text=True,
            check=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    recipe = load_recipe("thought-500m")
    whole = recipe.backbone.model_extra or {}
    first, last = rows[0], rows[-1]
    depth = int(whole["num_hidden_layers"])
    estimated = plan(recipe, Vocabulary(size=VOCABULARY)).memory_bytes / GIB
    found = {"rows": rows, "estimated_gib": estimated, "depth": depth}
    if first["layers"] != last["layers"]:
        slope = (last["bytes"] - first["bytes"]) / (last["layers"] - first["layers"])
        found["extrapolated_gib"] = (first["bytes"] + slope * (depth - first["layers"])) / GIB
    store(given.results, {**stamp(f"python -m {__spec__.name}"), **found})
    print({key: value for key, value in found.items() if key != "rows"})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
