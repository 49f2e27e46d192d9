"""Likelihoods of trained runs side by side: causal, masked, and a block run in each of its sizes and left to right.

    python -m benchmarks.studies.block.runs --causal RUN --block RUN --masked RUN

Held-out documents of the runs' own corpus, in windows of so many bytes, in bits per byte with an interval over
documents; the bounds average 8 draws. Results go to ``benchmarks/results/block_runs.json``; ``--quick`` scores two
documents and keeps nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.data.corpus import documents
from unmask.evaluation.bits import bits_per_byte
from unmask.training.combination import make_process
from unmask.training.held_out import corpus_of
from unmask.training.recipe import Recipe
from unmask.training.run import Run

RESULT = RESULTS / "block_runs.json"


def sized(run: Run, size: int) -> Any:
    """Return the process of a block run in blocks of one size."""
    sections = run.recipe.model_dump()
    sections["process"]["block_size"] = size
    return make_process(Recipe.model_validate(sections), run.tokenizer.vocabulary)


def ways(run: Run) -> dict[str, tuple[Any, str]]:
    """Return (process, likelihood) of each number that a run has."""
    options = run.process.options
    if run.recipe.process.name != "block":
        return {run.recipe.process.name: (run.process, "default")}
    found = {f"block {size}": (sized(run, size), "default") for size in options.sizes}
    return {**found, "block, left to right": (run.process, "causal")}


def main(arguments: list[str] | None = None) -> int:
    """Score, print the table, and keep it unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    for name in ("causal", "block", "masked"):
        options.add_argument(f"--{name}", type=Path, required=True, help=f"a trained {name} run")
    options.add_argument("--documents", type=int, default=40)
    options.add_argument("--window", type=int, default=256, help="bytes of a window")
    options.add_argument("--quick", action="store_true", help="two documents: does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    runs = [Run.open(getattr(given, name)) for name in ("causal", "block", "masked")]
    texts = list(documents(corpus_of(runs[0]).split("valid")))[: 2 if given.quick else given.documents]
    rows: dict[str, Any] = {}
    print("| run | parameters | tokens | bits per byte |\n|---|---|---|---|")
    for run in runs:
        told = {key: run.manifest[key] for key in ("parameters", "tokens_seen")}
        for name, (process, kind) in ways(run).items():
            found = bits_per_byte(
                run.model("cpu"), process, run.tokenizer, texts, window=given.window, draws=8, likelihood=kind
            )
            rows[name] = {**told, "bits_per_byte": found.value, "interval": found.interval, "bound": found.bound}
            sign = "<= " if found.bound == "upper bound" else ""
            numbers = f"{told['parameters']:,} | {told['tokens_seen']:,}"
            print(f"| {name} | {numbers} | {sign}{found.value:.3f} ({found.bound}) |", flush=True)
    if not given.quick:
        command = f"python -m {__spec__.name} --causal RUN --block RUN --masked RUN"
        store(RESULT, {**stamp(command), "documents": len(texts), "window_bytes": given.window, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
