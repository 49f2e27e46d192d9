"""What networks that are told how many tokens a window has pay for it, on the documents of the tables in docs/.

    python -m benchmarks.studies.likelihood.window_lengths --source TRAIN --valid VALID

The count is coded as ``unmask.evaluation.lengths`` has it. *before* is what was paid until 2026-11-30: ln(context - 1)
nats a document, and nothing for the other windows. The difference depends on the documents, the tokenizer and the
window, never on a network, and so is the same for every bidirectional row of a table. Results go to
``benchmarks/results/window_lengths.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.places import RESULTS
from unmask.data.corpus import documents, load_corpus
from unmask.data.tokenizers import make_tokenizer
from unmask.evaluation.batches import token_rows
from unmask.evaluation.lengths import length_code
from unmask.evaluation.windows import common_window, cut_all
from unmask.training.held_out import in_order

RESULT = RESULTS / "window_lengths.json"

FIRST, CHOSEN = "first", "chosen"
"""Which documents: the first ones of the split, or those that ``held_out`` chooses."""

TABLES: dict[str, tuple[int, int, int | None, str, int]] = {
    "ablations of masked and sparse, T = 128": (2048, 128, 256, FIRST, 40),
    "ablations of eco, T = 512": (2048, 512, 1024, FIRST, 40),
    "ablations of eco, T = 2048": (2048, 2048, 4096, FIRST, 40),
    "ablations of thoughts, T = 512": (2048, 512, 1024, FIRST, 24),
    "comparison at nano size": (2048, 128, None, CHOSEN, 60),
    "comparison at small size": (4096, 128, None, CHOSEN, 60),
    "four processes at small size": (4096, 128, None, CHOSEN, 30),
    "measures of thoughts": (2048, 512, None, CHOSEN, 40),
    "latent pathway": (2048, 512, None, CHOSEN, 12),
}
"""Table -> (tokens of the BPE vocabulary, context, bytes of a window or those that fit, which documents, how many)."""


def measure(texts: list[str], tokenizer: Any, context: int, window: int | None) -> dict[str, Any]:
    """Return the entropy of the count, what is paid for it and what was, in bits a byte."""
    size = common_window(texts, [tokenizer], [context]) if window is None else window
    windows = cut_all(texts, size)
    counts = [len(row) - 1 for row in token_rows(windows, tokenizer, context, size)]
    code = length_code(counts, context - 1)
    shares = np.unique(counts, return_counts=True)[1] / len(counts)
    entropy = float(-(shares * np.log(shares)).sum())
    total = sum(w.bytes for w in windows)
    nats = {
        "entropy": entropy * len(counts),
        "paid": float(code.nats.sum()),
        "before": math.log(context - 1) * len(texts),
    }
    bits = {name: value / math.log(2) / total for name, value in nats.items()}
    return {
        "documents": len(texts),
        "bytes": total,
        "window": size,
        "windows": len(counts),
        "entropy, bits a window": round(entropy / math.log(2), 3),
        "paid, bits a window": round(nats["paid"] / math.log(2) / len(counts), 3),
        **{f"{name}, bits a byte": round(value, 5) for name, value in bits.items()},
        "more than before, bits a byte": round(bits["paid"] - bits["before"], 5),
        "code": {"center": code.center, "width": code.width, "share": code.share},
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure each table's documents, and store and print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--valid")
    parser.add_argument("--results", type=Path, default=RESULT)
    chosen = parser.parse_args(arguments)
    corpus = load_corpus(chosen.source, valid=chosen.valid)
    held = list(documents(corpus.split("valid")))
    rows, tokenizers = {}, {}
    for name, (vocabulary, context, window, which, count) in TABLES.items():
        if vocabulary not in tokenizers:
            tokenizers[vocabulary] = make_tokenizer("bpe", documents(corpus.split("train")), vocabulary)
        texts = (held if which == FIRST else in_order(held))[:count]
        rows[name] = measure(texts, tokenizers[vocabulary], context, window)
        print(name, json.dumps(rows[name]), flush=True)
    stored = {
        "rows": rows,
        "command": f"python -m {__spec__.name} --source SOURCE --valid VALID",
        "source": Path(chosen.source).name,
        "corpus_fingerprint": corpus.fingerprint,
        "date": time.strftime("%Y-%m-%d"),
    }
    chosen.results.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
