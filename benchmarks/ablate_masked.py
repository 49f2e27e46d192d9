"""What each training option of the masked process does at equal tokens: the table behind the recipes' defaults.

    python -m benchmarks.ablate_masked --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

Each row is a nano recipe with one change, several seeds, scored on held-out documents (bits per byte; an upper bound
for masked rows).
Results go to ``benchmarks/results/ablate_masked.json``; rows that are already there are not run again.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from unmask.evaluation.bits import bits_per_byte
from unmask.training.recipe import load_recipe
from unmask.training.train import train

RESULTS = Path(__file__).parent / "results" / "ablate_masked.json"
PLAIN = ["process.curriculum_start=null", "process.causal_warmup=0"]
FULL = ["process.curriculum_start=0.15", "process.causal_warmup=0.4"]
ALONE = [*PLAIN, "backbone.output_shift=0"]
ROWS: dict[str, tuple[str, list[str]]] = {
    "causal": ("nano-causal", []),
    "masked, plain: cross-entropy, uniform t, no shift": ("nano-masked", ALONE),
    "plain + ELBO weight": ("nano-masked", [*ALONE, "process.weighting=elbo"]),
    "plain + cosine schedule": ("nano-masked", [*ALONE, "process.schedule=cosine"]),
    "plain + bell-shaped t": ("nano-masked", [*ALONE, "process.times=bell"]),
    "plain + time input": ("nano-masked", [*ALONE, "backbone.time_input=true"]),
    "plain + curriculum from 0.15": ("nano-masked", [*ALONE, "process.curriculum_start=0.15"]),
    "plain + output shift": ("nano-masked", PLAIN),
    "shift + causal warm start 0.4": ("nano-masked", [*PLAIN, "process.causal_warmup=0.4"]),
    "shift + warm start 0.4 + curriculum": ("nano-masked", FULL),
    "shift + warm start 0.4 + curriculum + bell": ("nano-masked", [*FULL, "process.times=bell"]),
    "shift + warm start 0.6 + curriculum": ("nano-masked", [*FULL, "process.causal_warmup=0.6"]),
    "shift + warm start 0.4 + curriculum, half the batch": (
        "nano-masked",
        [*FULL, "training.per_device_train_batch_size=8"],
    ),
}


def options(results: Path) -> argparse.Namespace:
    """Return the options of an ablation, whose rows go to ``results``."""
    return parser(results).parse_args()


def parser(results: Path) -> argparse.ArgumentParser:
    """Return what reads them, for an ablation that has more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--valid")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="run only rows whose name this regular expression finds")
    parser.add_argument("--results", type=Path, default=results)
    return parser


def main() -> None:
    """Run what is missing and print the table."""
    measure(ROWS, RESULTS, "ablate_masked")


def measure(rows: Mapping[str, tuple[str, list[str]]], results: Path, name: str) -> None:
    """Train and score the rows of an ablation that are not stored yet, and print its table."""
    arguments = options(results)
    torch.set_num_threads(arguments.threads)
    stored = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {"rows": {}}
    for seed in range(arguments.seeds):
        for row, (recipe, overrides) in rows.items():
            key = f"{row} | seed {seed} | {arguments.steps} steps"
            if key in stored["rows"] or not re.search(arguments.only, row):
                continue
            stored["rows"][key] = one(row, recipe, overrides, seed, arguments)
            stored |= {
                "command": f"python -m benchmarks.{name} --source SOURCE --valid VALID",
                "source": Path(arguments.source).name,
                "hardware": f"{platform.machine()}, {arguments.threads} threads",
                "date": time.strftime("%Y-%m-%d"),
            }
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            arguments.results.write_text(json.dumps(stored, indent=1, ensure_ascii=False))
            print(key, stored["rows"][key], flush=True)
    table(stored, arguments.steps, rows)


def one(
    row: str, recipe: str, overrides: list[str], seed: int, arguments: argparse.Namespace, window: int = 256
) -> dict[str, object]:
    """Train and score one row with one seed, in windows of so many bytes."""
    from unmask.data.corpus import load_corpus

    data = [f"data.source={arguments.source}"] + ([f"data.valid={arguments.valid}"] if arguments.valid else [])
    count = arguments.steps * (2 if "half the batch" in row else 1)  # the same tokens
    steps = [f"training.max_steps={count}", "training.valid_blocks=0", "training.save_steps=100000"]
    resolved = load_recipe(recipe, [*overrides, *data, *steps, f"seed={seed}"])
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolved, Path(folder) / "run")
        if run.manifest["status"] != "finished":
            raise SystemExit(130)
        model = run.model("cpu")
        corpus = load_corpus(arguments.source, valid=arguments.valid)
        texts = corpus.split("valid")["text"][: arguments.documents]
        bits = bits_per_byte(model, run.process, run.tokenizer, texts, window=window, draws=8)
    return {
        "bits_per_byte": round(bits.value, 4),
        "bound": bits.bound,
        "bytes": bits.bytes,
        "tokens_seen": run.manifest["tokens_seen"],
        "parameters": run.manifest["parameters"],
        "corpus_fingerprint": run.manifest["corpus_fingerprint"],
        "seconds": run.manifest["train_seconds"],
    }


def table(stored: dict[str, object], steps: int, rows: Iterable[str] = ROWS) -> None:
    """Print mean and spread over seeds as markdown."""
    print("\n| row | bits per byte (mean +- sd) | seeds |\n|---|---|---|")
    for row in rows:
        values = [
            entry["bits_per_byte"]
            for key, entry in stored["rows"].items()  # type: ignore[attr-defined]
            if key.startswith(f"{row} | ") and key.endswith(f"| {steps} steps")
        ]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            print(f"| {row} | {statistics.mean(values):.3f} +- {spread:.3f} | {len(values)} |")


if __name__ == "__main__":
    main()
