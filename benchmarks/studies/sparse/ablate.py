"""What candidates do to a masked model at equal tokens: the rows of the masked ablation continued for ``sparse``.

    python -m benchmarks.studies.sparse.ablate --source stories-en.train.jsonl.gz --valid stories-en.valid.jsonl.gz

The control is ``shift + causal warm start 0.4`` of the masked ablation: the same recipe without candidates, the same
tokens, seeds and documents. Results go to ``benchmarks/results/ablate_sparse.json``, the control's rows with them. No
sweep plan: ``benchmarks/lib/ablation.py`` says why.
"""

from __future__ import annotations

from benchmarks.lib.ablation import measure, stored_rows
from benchmarks.lib.places import RESULTS

RESULT = RESULTS / "ablate_sparse.json"
MASKED = RESULTS / "ablate_masked.json"
CONTROL = "shift + causal warm start 0.4"
WARM = ["process.curriculum_start=null", "process.causal_warmup=0.4"]
CHANGES: dict[str, list[str]] = {
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


if __name__ == "__main__":
    control = {key: row for key, row in stored_rows(MASKED)["rows"].items() if key.startswith(f"{CONTROL} | ")}
    rows = {row: ("nano-sparse", [*overrides, *WARM]) for row, overrides in CHANGES.items()}
    measure(rows, RESULT, __spec__.name, control)
