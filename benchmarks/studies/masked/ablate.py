"""What each training option of the masked process does at equal tokens: the table behind the recipes' defaults.

    python -m benchmarks.studies.masked.ablate --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

Each row is a nano recipe with one change, several seeds, scored on held-out documents (bits per byte; an upper bound
for masked rows). No sweep plan: ``benchmarks/lib/ablation.py`` says why.
Results go to ``benchmarks/results/ablate_masked.json``; rows that are already there are not run again.
"""

from __future__ import annotations

from benchmarks.lib.ablation import measure
from benchmarks.lib.places import RESULTS

RESULT = RESULTS / "ablate_masked.json"
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


if __name__ == "__main__":
    measure(ROWS, RESULT, __spec__.name)
