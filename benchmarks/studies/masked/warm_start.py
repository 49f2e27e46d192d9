"""What the weights of another process are worth at equal total tokens (``training.init``).

    python -m benchmarks.studies.masked.warm_start --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

Each row is a nano recipe, or two of half the steps one after the other, scored on held-out documents (bits per byte; an
upper bound for masked rows). The second half has another seed, so that it reads other blocks.
Results go to ``benchmarks/results/warm_start.json``; rows that are already there are not run again.
"""

from __future__ import annotations

from typing import Any

from benchmarks.lib.ablation import corpus_of, fill, parser, trained
from benchmarks.lib.cells import seeds_of, spread
from benchmarks.lib.places import RESULTS
from unmask.evaluation.bits import bits_per_byte
from unmask.training.ancestry import spent
from unmask.training.run import Run

RESULT = RESULTS / "warm_start.json"
SAME = ["training.warmup_steps=0.1", "training.precision=fp32"]
CAUSAL, MASKED = ("nano-causal", SAME), ("nano-masked", [*SAME, "process.causal_warmup=0"])
ROWS = {
    "causal": (CAUSAL,),
    "masked": (MASKED,),
    "masked, causal_warmup 0.5": (("nano-masked", [*SAME, "process.causal_warmup=0.5"]),),
    "causal, then masked from its weights": (CAUSAL, MASKED),
    "masked, then causal from its weights": (MASKED, CAUSAL),
}


def main() -> None:
    """Train and score the rows, and print the table as markdown."""
    arguments = parser(RESULT).parse_args()

    def scored(run: Run) -> dict[str, Any]:
        texts = corpus_of(arguments)[1]
        bits = bits_per_byte(run.model("cpu"), run.process, run.tokenizer, texts, window=256, draws=8)
        told = {"bits_per_byte": round(bits.value, 4), "bound": bits.bound, "bytes": bits.bytes}
        total = {key: spent(run.manifest, key) for key in ("tokens_seen", "training_flops", "train_seconds")}
        return told | total | {"parameters": run.manifest["parameters"]}

    def one(row: str, seed: int) -> dict[str, Any]:
        steps = arguments.steps // len(ROWS[row])
        recipe, overrides = ROWS[row][0]
        with trained(recipe, overrides, seed, steps, arguments) as run:
            if len(ROWS[row]) == 1:
                return scored(run)
            recipe, overrides = ROWS[row][1]
            with trained(recipe, [*overrides, f"training.init=run:{run.path}"], seed + 100, steps, arguments) as last:
                return scored(last)

    command = f"python -m {__spec__.name} --source SOURCE --valid VALID"
    found = fill(arguments, f"{command} --seeds {arguments.seeds} --steps {arguments.steps}", ROWS, one)
    print("\n| row | bits per byte (mean +- sd) | total tokens | seeds |\n|---|---|---|---|")
    for row in ROWS:
        if entries := seeds_of(found, row, arguments.steps):
            bits = spread([entry["bits_per_byte"] for entry in entries])
            print(f"| {row} | {bits} | {entries[0]['tokens_seen']:,} | {len(entries)} |")


if __name__ == "__main__":
    main()
