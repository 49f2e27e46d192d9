"""Words that may be wrong against masks, at equal tokens: the uniform process beside the masked one.

    python -m benchmarks.ablate_uniform --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

Each row is a nano recipe with one change, several seeds, scored on held-out documents (upper bounds, bits per byte).
Results go to ``benchmarks/results/ablate_uniform.json``; rows that are already there are not run again.
"""

from __future__ import annotations

import json
import platform
import re
import time
from pathlib import Path

import torch

from benchmarks.ablate_masked import one, options, table

RESULTS = Path(__file__).parent / "results" / "ablate_uniform.json"
ROWS: dict[str, tuple[str, list[str]]] = {
    "masked, told the noise level": ("nano-masked", ["backbone.time_input=true"]),
    "uniform": ("nano-uniform", []),
    "uniform, nothing given in training": ("nano-uniform", ["process.given=0"]),
    "uniform + ELBO weight": ("nano-uniform", ["process.weighting=elbo"]),
    "uniform without the warm start": ("nano-uniform", ["process.causal_warmup=0"]),
}


def main() -> None:
    """Run what is missing and print the table."""
    arguments = options(RESULTS)
    torch.set_num_threads(arguments.threads)
    stored = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {"rows": {}}
    for seed in range(arguments.seeds):
        for row, (recipe, overrides) in ROWS.items():
            key = f"{row} | seed {seed} | {arguments.steps} steps"
            if key in stored["rows"] or not re.search(arguments.only, row):
                continue
            stored["rows"][key] = one(row, recipe, overrides, seed, arguments)
            stored |= {
                "command": "python -m benchmarks.ablate_uniform --source SOURCE --valid VALID",
                "source": Path(arguments.source).name,
                "hardware": f"{platform.machine()}, {arguments.threads} threads",
                "date": time.strftime("%Y-%m-%d"),
            }
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            arguments.results.write_text(json.dumps(stored, indent=1, ensure_ascii=False))
            print(key, stored["rows"][key], flush=True)
    table(stored, arguments.steps, ROWS)


if __name__ == "__main__":
    main()
