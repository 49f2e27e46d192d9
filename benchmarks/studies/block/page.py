"""The tables of docs/studies/block.md and block-speed.md."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.cells import Rows, Table, bits, grid, one, seeds_of, span

OPTIONS = {
    "causal": "causal",
    "block 2": "block 2",
    "block 4": "block 4",
    "block 8": "block 8",
    "block 16": "block 16",
    "masked": "masked",
    "blocks of 2 to 16 in turn, scored in 16": "blocks of 2 to 16 in turn",
    "block 8, no causal warm start": "block 8, no causal warm start",
    **{f"block 8, `causal_weight` {n}": f"block 8, causal_weight {n}" for n in ("0", "0.2", "0.5", "1", "4")},
}


def options(found: Any) -> Rows:
    """Return both sides of the weights, by size of block."""
    rows = found["rows"]
    columns = {
        "bits per byte": lambda row: bits(seeds_of(rows, row)),
        "left to right, the same weights": lambda row: bits(seeds_of(rows, row), "left_to_right"),
    }
    return grid("row", OPTIONS, columns)


def gap(found: Any, options: Any) -> Rows:
    """Return what more tokens do; half way between causal and masked is 50 %."""

    def at(row: str, steps: int) -> list[dict[str, Any]]:
        return seeds_of(found["rows"], row, steps) or seeds_of(options["rows"], row, steps)

    def way(steps: int) -> str:
        low, block, high = (
            statistics.mean(entry["bits_per_byte"] for entry in at(row, steps))
            for row in ("causal", "block 4", "masked")
        )
        return f"{100 * (block - low) / (high - low):.0f} %"

    lengths = sorted({int(key.split(" | ")[2].split()[0]) for key in [*found["rows"], *options["rows"]]})
    columns = {
        "causal": lambda steps: bits(at("causal", steps)),
        "block 4, left to right": lambda steps: bits(at("block 4", steps), "left_to_right"),
        "block 4": lambda steps: bits(at("block 4", steps)),
        "masked": lambda steps: bits(at("masked", steps)),
        "block 4 on the way from causal to masked": way,
    }
    labels = {f"{at('causal', steps)[0]['tokens_seen'] / 1e6:.2f}": steps for steps in lengths}
    return grid("tokens, millions", labels, columns)


def larger(found: Any) -> Rows:
    """Return the runs of 5 M parameters."""
    rows = found["rows"]
    names = ("causal", "block, left to right", "block 4", "block 8", "masked")
    columns = {
        "bits per byte": lambda row: bits([rows[row]]),
        "95 %": lambda row: span(rows[row]["interval"]),
    }
    return grid("run", {name: name for name in names}, columns)


WRITTEN = {
    "causal, left to right": "causal: autoregressive",
    "block, left to right": "block: autoregressive",
    **{
        f"block {size}, {told}": f"block: block block_size={size} rule={rule}"
        for size, told, rule in (
            (4, "`confidence`, 2 steps", "confidence steps=2 reveal=linear"),
            (4, "`ancestral`, 2 steps", "ancestral steps=2"),
            (4, "`confidence`, 4 steps", "confidence steps=4 reveal=linear"),
            (8, "`confidence`, 2 steps", "confidence steps=2 reveal=linear"),
            (8, "`confidence`, 4 steps", "confidence steps=4 reveal=linear"),
            (8, "`ancestral`, 4 steps", "ancestral steps=4"),
            (8, "`remasking`, 4 steps", "remasking steps=4"),
            (8, "`confidence`, 8 steps", "confidence steps=8 reveal=linear"),
            (8, "`entropy-bound`, 0.5 nats", "entropy-bound entropy_budget=0.5"),
            (16, "`confidence`, 8 steps", "confidence steps=8 reveal=linear"),
            (16, "`confidence`, 16 steps", "confidence steps=16 reveal=linear"),
        )
    },
    "masked, `confidence` with noise, 16 steps": "masked: confidence steps=16 confidence_noise=1.0",
    "masked, `confidence` with noise, 64 steps": "masked: confidence steps=64 confidence_noise=1.0",
    "masked, `ancestral`, 64 steps": "masked: ancestral steps=64",
    "masked, `entropy-bound`, 0.5 nats": "masked: entropy-bound entropy_budget=0.5",
    "real text, as many words": "real text, as many words",
}


def written(found: Any) -> Rows:
    """Return speed and quality of what is written, with the causal run's speed as 1."""
    rows = found["rows"]

    def speed(row: str, column: str) -> str:
        if column not in rows[row]:
            return ""
        value = rows[row][column]
        return f"{value:,.0f} ({value / rows['causal: autoregressive'][column]:.2f}x)"

    columns = {
        "tokens/s, batch 1": lambda row: speed(row, "tokens/s, batch 1"),
        "tokens/s, batch 8": lambda row: speed(row, "tokens/s, batch 8"),
        "judge, bits per byte": lambda row: f"{rows[row]['judge, bits per byte']:.2f}",
        "entropy, bits a word": lambda row: f"{rows[row]['entropy, bits a word']:.2f}",
        "repeated 4-grams": lambda row: f"{rows[row]['repeated 4-grams']:.3f}",
    }
    return grid("written by", WRITTEN, columns)


def step(found: Any) -> Rows:
    """Return a step's time over that of a cached step left to right: least and most over the rules."""

    def over(size: int, network: str, batch: int) -> str:
        rules = [
            row["ratio"]
            for row in found["rows"]
            if (row["network"], row["batch"]) == (network, batch) and row["row"].startswith(f"block {size},")
        ]
        return span(rules, ".2f") + "x"

    cases = [(network, batch) for batch in (1, 8) for network in ("1.0 M (nano)", "5.2 M")]
    return [
        {"network": network.removesuffix(" (nano)"), "batch": str(batch)}
        | {f"block of {size} words": over(size, network, batch) for size in (8, 16)}
        for network, batch in cases
    ]


def training(found: Any) -> Rows:
    """Return a training step's time over a causal one."""

    def cell(row: str, network: str) -> str:
        entry = one(found["rows"], row=row, network=network)
        if row != "causal":
            return f"{entry['ratio']:.2f}x"
        return f"{statistics.median(entry['ms']):.0f} ms"

    rows = {
        "causal": "causal",
        "masked": "masked",
        "masked, the whole recipe": "masked, whole recipe",
        "block 8": "block 8",
        "block 4": "block 4",
        "block 8, `causal_weight` 0": "block 8, `causal_weight` 0",
        "block 8, the whole recipe": "block 8, whole recipe",
    }
    columns = {
        "nano (1.0 M)": lambda row: cell(row, "nano"),
        "stories-small (5.6 M)": lambda row: cell(row, "stories-small"),
    }
    return grid("training", rows, columns)


TABLES = {
    "block-options": Table("ablate_block.json", options),
    "block-gap": Table("block_gap.json", gap, more=("ablate_block.json",)),
    "block-larger": Table("block_runs.json", larger, said={"repeats": "one run each"}),
    "block-written": Table("block_frontier.json", written),
    "block-step": Table("block_step.json", step, said={"command": "python -m benchmarks.studies.block.step"}),
    "block-training": Table(
        "block_train_cost.json",
        training,
        said={"command": "python -m benchmarks.studies.block.train_cost", "repeats": "median and quartiles of 5 turns"},
    ),
}
