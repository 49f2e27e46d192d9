"""What the original's own measures say of a ``sparse_flatten`` run, beside the measures that cannot be copied.

    python -m benchmarks.studies.sparse.flatten_rows LABEL=RUN ... --documents 60

Over held-out text, for each run of process ``sparse_flatten``: accuracy and perplexity over all positions of the states
that its own training shows (the original's numbers), the share of them that a copy of the likeliest candidate gets
right, the accuracy where the answer was replaced at random, and the bound in bits per byte.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.diffusion.flatten import Flatten, FlattenOptions
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.predictions import predict_corrupted
from unmask.evaluation.windows import common_window
from unmask.training.held_out import held_out
from unmask.training.run import Run

RESULT = RESULTS / "flatten_rows.json"


def measured(run: Run, texts: list[str], draws: int) -> dict[str, Any]:
    """Return the row of one run."""
    model, process, tokenizer = run.model(), run.process, run.tokenizer
    assert isinstance(process, Flatten)
    window = common_window(texts, [tokenizer], [int(model.config.max_position_embeddings)])
    given = process.options.model_dump() | {"jitter": 0.0}
    shown = Flatten(FlattenOptions(**given | {"replaced": False, "loss_at": "all"}), *_sizes(process))
    gone = Flatten(FlattenOptions(**given | {"replaced": True, "loss_at": "replaced"}), *_sizes(process))
    row: dict[str, Any] = {}
    for name, asked in (("answer in view", shown), ("answer replaced", gone)):
        found = predict_corrupted(model, asked, tokenizer, texts, window=window)
        row |= {
            f"accuracy, {name}": round(float(found.correct.mean()), 4),
            f"perplexity, {name}": round(math.exp(float(found.nats.mean(dtype=float))), 2),
            f"copy, {name}": round(float(found.copied.mean()), 4),
        }
    score = bits_per_byte(model, process, tokenizer, texts, window=window, draws=draws)
    return row | {"bits_per_byte": round(score.value, 4), "bound": score.bound, "tokens_seen": _tokens(run)}


def _sizes(process: Flatten) -> tuple[int, int]:
    return process.mask_id, process.vocab_size


def _tokens(run: Run) -> int:
    return int(run.manifest.get("tokens_seen", 0))


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--results", type=Path, default=RESULT)
    given = parser.parse_args()
    stored = json.loads(given.results.read_text()) if given.results.is_file() else {"rows": {}}
    runs = [(label, Run.open(path)) for label, _, path in (case.partition("=") for case in given.cases)]
    text = held_out([run for _, run in runs], count=given.documents)
    for label, run in runs:
        key = f"{label} | seed {run.recipe.seed}"
        if key not in stored["rows"]:
            stored["rows"][key] = measured(run, text.texts, given.draws)
            print(key, stored["rows"][key], flush=True)
    command = f"python -m {__spec__.name} CASES --documents {given.documents} --draws {given.draws}"
    fingerprint = {"corpus_fingerprint": text.fingerprint}
    store(given.results, {**stamp(command), **fingerprint, "rows": stored["rows"]})


if __name__ == "__main__":
    main()
