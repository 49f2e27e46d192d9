"""Causal, blocks of 2, 4, 8 and 16, masked, at equal tokens: what a larger block costs, and what its causal side is.

    python -m benchmarks.studies.block.ablate --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

Each row is a nano recipe with one change, several seeds, scored on held-out documents in bits per byte: the process's
own likelihood (a bound but for the causal row) and, where the same weights write left to right, that exact one too.
A training step of a block row reads its tokens twice, a clean and a noisy copy: equal tokens, not equal time, so tokens
a second stand beside. Results go to ``benchmarks/results/ablate_block.json``; rows that are there are not run again.
``--quick`` trains every row for a few steps and keeps nothing.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lib.ablation import corpus_of, fill, parser, trained
from benchmarks.lib.cells import seeds_of, spread
from benchmarks.lib.places import RESULTS
from unmask.evaluation.bits import bits_per_byte

RESULT = RESULTS / "ablate_block.json"
WINDOW = 256
"""Bytes of a scored window."""
ROWS: dict[str, tuple[str, list[str]]] = {
    "causal": ("nano-causal", []),
    "block 2": ("nano-block", ["process.block_size=2"]),
    "block 4": ("nano-block", ["process.block_size=4"]),
    "block 8": ("nano-block", []),
    "block 16": ("nano-block", ["process.block_size=16"]),
    "masked": ("nano-masked", []),
    "blocks of 2 to 16 in turn": ("nano-block", ["process.block_size=[2,4,8,16]"]),
    "block 8, no causal warm start": ("nano-block", ["process.causal_warmup=0"]),
    **{
        f"block 8, causal_weight {weight}": ("nano-block", [f"process.causal_weight={weight}"])
        for weight in (0, 0.2, 0.5, 1, 4)
    },
}


def scored(row: str, seed: int, arguments: Any) -> dict[str, Any]:
    """Train a row with one seed; return its likelihoods and its speed."""
    recipe, overrides = ROWS[row]
    with trained(recipe, overrides, seed, arguments.steps, arguments) as run:
        model, texts = run.model("cpu"), corpus_of(arguments)[1]
        kinds = [kind for kind in ("default", "causal") if kind in run.process.likelihoods]
        own, *beside = (
            bits_per_byte(model, run.process, run.tokenizer, texts, window=WINDOW, draws=8, likelihood=kind)
            for kind in kinds
        )
        manifest = run.manifest
    exact = own.value if own.bound == "exact" else beside[0].value if beside else None
    return {
        "bits_per_byte": round(own.value, 4),
        "bound": own.bound,
        "left_to_right": None if exact is None else round(exact, 4),
        "bytes": own.bytes,
        "tokens_seen": manifest["tokens_seen"],
        "parameters": manifest["parameters"],
        "corpus_fingerprint": manifest["corpus_fingerprint"],
        "seconds": manifest["train_seconds"],
        "tokens_per_second": round(manifest["tokens_seen"] / manifest["train_seconds"]),
    }


def table(rows: dict[str, Any], steps: int) -> str:
    """Return the stored rows as markdown."""
    lines = [
        "| row | bits per byte (mean +- sd) | left to right, the same weights | training tokens/s | seeds |",
        "|---|---|---|---|---|",
    ]
    for row in ROWS:
        if found := seeds_of(rows, row, steps):
            own, exact = (
                spread([one[key] for one in found if one[key] is not None])
                for key in ("bits_per_byte", "left_to_right")
            )
            bound = "" if found[0]["bound"] == "exact" else "<= "
            speed = statistics.median(one["tokens_per_second"] for one in found)
            lines.append(f"| {row} | {bound}{own} | {exact} | {speed:,.0f} | {len(found)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Train and score what is not stored yet, and print the table."""
    options = parser(RESULT)
    options.add_argument("--quick", action="store_true", help="one seed, a few steps: does it run? nothing is kept")
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if given.quick:
            given.seeds, given.steps, given.documents = 1, 4, 2
            given.results = Path(folder) / "quick.json"
        command = f"python -m {__spec__.name} --source SOURCE --valid VALID --steps {given.steps}"
        rows = fill(given, command, ROWS, lambda row, seed: scored(row, seed, given))
        print("\n" + table(rows, given.steps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
