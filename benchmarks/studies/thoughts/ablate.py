"""What a thought is worth at equal parameters and equal tokens: bits per byte of a text's later passages.

    python -m benchmarks.studies.thoughts.ablate --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

Nano sizes, blocks of 512 tokens cut into passages of 128, which attention does not leave. *no thought* is the same
network over the same passages with the thought's parameters put into its SwiGLU layers; *whole text* attends to all 512
tokens. Held-out documents are scored in windows of two bytes a token of the block; later passages are those with a
passage of the same document before them in their window. The rows with a thought are scored again with their thoughts
absent, zeroed, another text's, and random.

No sweep plan can say it: later passages and changed thoughts are no part of a plan's scores.
Results go to ``benchmarks/results/ablate_thought.json``; rows that are already there are not run again.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.lib.ablation import corpus_of, fill, parser, trained
from benchmarks.lib.cells import seeds_of, spread
from benchmarks.lib.places import RESULTS
from unmask.diffusion.with_thoughts import Thinking
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.thought_bits import CHANGES, later_bits

RESULT = RESULTS / "ablate_thought.json"
WINDOW = 1024
NONE = ["thought.shape=null", "backbone.match=null", "backbone.intermediate_size=320"]
ROWS: dict[str, list[str]] = {
    "thought": [],
    "no thought": NONE,
    "whole text": [*NONE, "thought=null"],
    "no thought, latent pathway": [*NONE, "thought.latent=0.5"],
    "thought and latent pathway": ["thought.latent=0.5"],
    "no thought, narrow": [*NONE[:2], "backbone.intermediate_size=192"],
    "no losses but the text's": [
        f"thought.weights.{name}=0" for name in ("thought", "coherence", "alignment", "anchor")
    ],
    "not persistent": ["thought.persist=false"],
    "one deep": ["thought.stack=1"],
    "thought loss 0.5": ["thought.weights.thought=0.5"],
    "no thought loss": ["thought.weights.thought=0"],
    "no coherence loss": ["thought.weights.coherence=0"],
    "no alignment loss": ["thought.weights.alignment=0"],
    "no anchor": ["thought.weights.anchor=0"],
    "never blind": ["thought.blind=0"],
    "always blind": ["thought.blind=1"],
    "saliency 1": ["thought.saliency=1"],
    "predict v": ["thought.predict=v"],
    **{f"thought noise {name}": [f"thought.schedule={name}"] for name in ("linear", "sqrt", "sigmoid", "exponential")},
    **{f"text noise {name}": [f"process.schedule={name}"] for name in ("cosine", "sqrt", "sigmoid", "exponential")},
}


def main() -> None:
    """Run what is missing and print the table."""
    arguments = parser(RESULT).parse_args()
    command = f"python -m {__spec__.name} --source SOURCE --valid VALID"
    table(fill(arguments, command, ROWS, lambda row, seed: one(ROWS[row], seed, arguments)), arguments.steps)


def one(overrides: list[str], seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and score one row with one seed."""
    texts = corpus_of(arguments)[1]
    with trained("nano-thought", overrides, seed, arguments.steps, arguments) as run:
        model, process, tokenizer, last = run.model("cpu"), run.process, run.tokenizer, run.metrics()[-2:]
    whole = bits_per_byte(model, process, tokenizer, texts, window=WINDOW, draws=8)
    found: dict[str, Any] = {"bits_per_byte": round(whole.value, 4), "bound": whole.bound, "bytes": whole.bytes}
    if isinstance(process, Thinking):
        changes = list(CHANGES) if process.options_of_thought.shape else ["own"]
        for name, bits in later_bits(model, process, tokenizer, texts, window=WINDOW, changes=changes).items():
            low, high = bits.cost_interval or (0.0, 0.0)
            found[f"later, {name}"] = {"bits_per_byte": round(bits.value, 4), "cost": round(bits.cost, 4)}
            found[f"later, {name}"]["interval"] = [round(low, 4), round(high, 4)]
            found["later_bytes"] = bits.bytes
    keys = ("tokens_seen", "parameters", "corpus_fingerprint", "train_seconds", "tok_per_s")
    told = {key: value for row in last for key, value in row.items() if key.startswith("network.thought")}
    return {**found, **told, **{key: run.manifest[key] for key in keys}}


def table(rows: dict[str, dict[str, Any]], steps: int) -> None:
    """Print mean and spread over seeds as markdown."""
    print("\n| row | parameters | all | later passages | " + " | ".join(list(CHANGES)[1:]) + " | seeds |")
    print("|---" * (len(CHANGES) + 4) + "|")
    for row in ROWS:
        found = seeds_of(rows, row, steps)
        if not found:
            continue
        cells = [spread([entry["bits_per_byte"] for entry in found])]
        cells.append(spread([entry["later, own"]["bits_per_byte"] for entry in found if "later, own" in entry]))
        for name in list(CHANGES)[1:]:
            cells.append(spread([entry[f"later, {name}"]["cost"] for entry in found if f"later, {name}" in entry]))
        print(f"| {row} | {found[0]['parameters']:,} | " + " | ".join(cells) + f" | {len(found)} |")


if __name__ == "__main__":
    main()
