"""Words that may be wrong against masks, at equal tokens: the uniform process beside the masked one.

    python -m benchmarks.studies.uniform.ablate --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

Each row is a nano recipe with one change, several seeds, scored on held-out documents (upper bounds, bits per byte),
those of the masked page's rows. No sweep plan: ``benchmarks/lib/ablation.py`` says why.
Results go to ``benchmarks/results/ablate_uniform.json``; rows that are already there are not run again.
"""

from __future__ import annotations

from benchmarks.lib.ablation import measure
from benchmarks.lib.places import RESULTS

RESULT = RESULTS / "ablate_uniform.json"
ROWS: dict[str, tuple[str, list[str]]] = {
    "masked, told the noise level": ("nano-masked", ["backbone.time_input=true"]),
    "uniform": ("nano-uniform", []),
    "uniform, nothing given in training": ("nano-uniform", ["process.given=0"]),
    "uniform + ELBO weight": ("nano-uniform", ["process.weighting=elbo"]),
    "uniform without the warm start": ("nano-uniform", ["process.causal_warmup=0"]),
}


if __name__ == "__main__":
    measure(ROWS, RESULT, __spec__.name)
