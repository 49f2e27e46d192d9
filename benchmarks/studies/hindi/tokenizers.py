"""What tokenizers make of each script: BPE as the text has it, BPE that sees scripts evenly, and bytes.

    python -m benchmarks.studies.hindi.tokenizers DATA -o benchmarks/results/hindi_tokenizers.json

DATA holds stories-hi, hinglish and mixed-hi-en, .train and .valid, and stories-en.train, each .jsonl.gz. Tokenizers are
trained on the three Hindi train splits, alone and with 20 MB of English stories; fertility is that of the valid splits.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.studies.hindi.floors import texts
from unmask.data.script_stats import fertility
from unmask.data.tokenizers import make_tokenizer

CORPORA = ("stories-hi", "hinglish", "mixed-hi-en")
SIZES = (2048, 8192)
ENGLISH = 20_000_000
"""Characters of English stories."""


def english(data: Path) -> list[str]:
    kept, total = [], 0
    for text in texts(data / "stories-en.train.jsonl.gz"):
        kept.append(text)
        total += len(text)
        if total > ENGLISH:
            break
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    began = time.time()
    hindi = [text for name in CORPORA for text in texts(given.data / f"{name}.train.jsonl.gz")]
    held_out = [text for name in CORPORA for text in texts(given.data / f"{name}.valid.jsonl.gz")]
    found = {"bytes": fertility(held_out, make_tokenizer("bytes", [], 0))}
    for name, train in (("hindi", hindi), ("hindi and english", [*hindi, *english(given.data)])):
        for size in SIZES:
            for balance in (False, True):
                tokenizer = make_tokenizer("bpe", train, size, balance=balance)
                found[f"{name}, {size}{', balanced' * balance}"] = fertility(held_out, tokenizer)
    about = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "hardware": "one core of an AMD EPYC", "seeds": []}
    result = {**about, "seconds": round(time.time() - began), "results": found}
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    for name, scripts in found.items():
        total = sum(row["tokens"] for row in scripts.values())
        each = ", ".join(f"{script} {row['tokens_per_cluster']:.3f}" for script, row in scripts.items())
        print(f"{name}: {total} tokens; {each}")


if __name__ == "__main__":
    main()
