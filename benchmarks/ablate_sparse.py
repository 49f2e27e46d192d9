"""What candidates do to a masked model at equal tokens: the rows of ``ablate_masked`` continued for process ``sparse``.

    python -m benchmarks.ablate_sparse --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

The control is ``shift + causal warm start 0.4`` of ``ablate_masked``: the same recipe without candidates, the same
tokens, seeds and documents. Results go to ``benchmarks/results/ablate_sparse.json``, the control's rows with them.
"""

from __future__ import annotations

import json
import platform
import re
import time
from pathlib import Path

import torch

from benchmarks.ablate_masked import RESULTS as MASKED
from benchmarks.ablate_masked import one, options

RESULTS = Path(__file__).parent / "results" / "ablate_sparse.json"
CONTROL = "shift + causal warm start 0.4"
WARM = ["process.curriculum_start=null", "process.causal_warmup=0.4"]
ROWS: dict[str, list[str]] = {
    "sparse, K = 4": ["process.candidates=4"],
    "sparse, K = 1": ["process.candidates=1"],
    "sparse, K = 8": ["process.candidates=8"],
    "sparse, K = 64": ["process.candidates=64"],
    "sparse, K = 4, always given": ["process.candidates=4", "process.candidate_rate=1"],
    "sparse, K = 4, always given, two passes": [
        "process.candidates=4",
        "process.candidate_rate=1",
        "process.candidate_passes=2",
    ],
    "sparse, K = 4, 4 to 8 steps": ["process.candidates=4", "process.candidate_steps=[4,8]"],
    "sparse, K = 1-2-4-8": ["process.candidates=8", "process.candidates_from=1"],
    "sparse, K = 4, full attention": ["process.candidates=4", "backbone.candidate_input=full"],
}


def main() -> None:
    """Run what is missing."""
    arguments = options(RESULTS)
    torch.set_num_threads(arguments.threads)
    masked = json.loads(MASKED.read_text())["rows"]
    control = {key: row for key, row in masked.items() if key.startswith(f"{CONTROL} | ")}
    stored = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {"rows": control}
    for row, overrides in ROWS.items():
        for seed in range(arguments.seeds):
            key = f"{row} | seed {seed} | {arguments.steps} steps"
            if key in stored["rows"] or not re.search(arguments.only, row):
                continue
            stored["rows"][key] = one(row, "nano-sparse", [*overrides, *WARM], seed, arguments)
            stored |= {
                "command": "python -m benchmarks.ablate_sparse --source SOURCE --valid VALID",
                "source": Path(arguments.source).name,
                "hardware": f"{platform.machine()}, {arguments.threads} threads",
                "date": time.strftime("%Y-%m-%d"),
            }
            arguments.results.write_text(json.dumps(stored, indent=1, ensure_ascii=False))
            print(key, stored["rows"][key], flush=True)


if __name__ == "__main__":
    main()
