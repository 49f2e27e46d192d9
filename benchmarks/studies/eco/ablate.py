"""What each part of the eco network is worth at equal parameters and equal tokens, and how far it is from attention.

    python -m benchmarks.studies.eco.ablate --source TRAIN --valid VALID --length 512
    python -m benchmarks.studies.eco.ablate --source TRAIN --valid VALID --length 2048

Nano sizes, process ``masked`` as eco can have it: no causal warm start, shifted output. A step has 2,048 tokens at
every length. Recipe ``nano-eco`` works out the SwiGLU width with which each eco row has as many parameters as the
transformer. Held-out documents are scored in windows of two bytes a token of the context. Results go to
``benchmarks/results/ablate_eco.json``; rows that are already there are not run again. No sweep plan:
``benchmarks/lib/ablation.py`` says why.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.ablation import fill, parser, scored
from benchmarks.lib.cells import seeds_of
from benchmarks.lib.places import RESULTS

RESULT = RESULTS / "ablate_eco.json"
TOKENS = 2048
COLD = ["process.curriculum_start=null", "process.causal_warmup=0", "backbone.output_shift=1"]
ROWS: dict[str, tuple[str, list[str]]] = {
    "transformer": ("nano-masked", []),
    "eco, M = 16": ("nano-eco", []),
    "eco, M = 8": ("nano-eco", ["backbone.memory_slots=8"]),
    "eco, M = 32": ("nano-eco", ["backbone.memory_slots=32"]),
    "eco, window in every 2nd block": ("nano-eco", ["backbone.window_every=2"]),
    "eco, slots read the input": ("nano-eco", ["backbone.input_slots=true"]),
    "eco, routed top 2": ("nano-eco", ["backbone.route_top_k=2"]),
    "eco, slots begin at 1": ("nano-eco", ["backbone.slot_range=1"]),
    "eco, slots begin at 1, routed top 2": ("nano-eco", ["backbone.slot_range=1", "backbone.route_top_k=2"]),
    "eco, kernel 15": ("nano-eco", ["backbone.conv_kernel=15"]),
    # eco is told the noise level; the transformer, so told, at the same parameters
    "transformer, time input": ("nano-masked", ["backbone.time_input=true", "backbone.intermediate_size=304"]),
}


def main() -> None:
    """Run what is missing and print the table."""
    options = parser(RESULT)
    options.add_argument("--length", type=int, default=512, help="tokens of a block (T)")
    arguments = options.parse_args()
    length = arguments.length
    sizes = [f"data.length={length}", f"training.per_device_train_batch_size={max(1, TOKENS // length)}"]

    def one(row: str, seed: int) -> dict[str, Any]:
        recipe, overrides = ROWS[row]
        return scored(recipe, [*COLD, *overrides, *sizes], seed, arguments.steps, arguments, 2 * length)

    command = f"python -m {__spec__.name} --source SOURCE --valid VALID --length LENGTH"
    rows = fill(arguments, command, ROWS, one, label=lambda row: f"{row}, T = {length}")
    table(rows, length, arguments.steps)


def table(rows: dict[str, dict[str, float]], length: int, steps: int) -> None:
    """Print mean and spread over seeds as markdown, and each row against the transformer's mean."""
    print("\n| row | parameters | bits per byte (mean +- sd) | of the transformer's | seeds |\n|---|---|---|---|---|")
    control = None
    for row in ROWS:
        found = seeds_of(rows, f"{row}, T = {length}", steps)
        if not found:
            continue
        values = [each["bits_per_byte"] for each in found]
        mean, spread = statistics.mean(values), statistics.stdev(values) if len(values) > 1 else float("nan")
        control = mean if row == "transformer" else control
        share = f"{mean / control:.3f}" if control else "-"
        print(f"| {row} | {found[0]['parameters']:,} | {mean:.3f} +- {spread:.3f} | {share} | {len(values)} |")


if __name__ == "__main__":
    main()
