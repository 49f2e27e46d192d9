"""What the script measures say of text that no network wrote: real, shuffled, in the other script, and an n-gram's.

    python -m benchmarks.studies.hindi.floors DATA -o benchmarks/results/hindi_floors.json

DATA holds stories-hi, hinglish, mixed-hi-en and stories-en, .train and .valid, each .jsonl.gz. Real text is the valid
split, cut to pieces of 40 words; the n-gram (bytes, order 5, Witten-Bell) is counted on the train split and writes as
many pieces of as many bytes. Distances are to the other half of the valid split's pieces.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from dataclasses import asdict
from pathlib import Path

from unmask.data.ngram import ByteNgram
from unmask.evaluation.coherence import chunks
from unmask.evaluation.script_quality import script_controls, script_distance, script_quality, switch_distance

CORPORA = ("stories-hi", "hinglish", "mixed-hi-en", "stories-en")
WORDS, PIECES, COUNTED = 40, 400, 3_000_000
"""Words of a piece, most pieces of either half, bytes of the train split that the n-gram counts."""


def texts(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def pieces(documents: list[str]) -> list[str]:
    joined = [chunks(" ".join(documents[at : at + 8]), WORDS) for at in range(0, len(documents), 8)]
    return [piece for row in joined for piece in row][: 2 * PIECES]


def first(documents: list[str], size: int) -> list[bytes]:
    kept, total = [], 0
    for text in documents:
        if total > size:
            break
        kept.append(text.encode())
        total += len(kept[-1])
    return kept


def measure(data: Path, name: str) -> dict[str, dict[str, object]]:
    real = pieces(texts(data / f"{name}.valid.jsonl.gz"))
    ours, other = real[::2], real[1::2]
    counted = ByteNgram(5).fit(first(texts(data / f"{name}.train.jsonl.gz"), COUNTED))
    size = sum(len(piece.encode()) for piece in ours) // len(ours)
    written = [text.decode("utf-8", "replace") for text in counted.sample(len(ours), size, 0)]
    like = script_quality(other)
    found = {}
    for kind, each in (script_controls(ours) | {"order-5 n-gram": written}).items():
        quality = script_quality(each)
        distances = {"script": script_distance(quality, like), "switch": switch_distance(quality, like)}
        found[kind] = {**asdict(quality), "distance": distances}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    began = time.time()
    results = {name: measure(given.data, name) for name in CORPORA}
    about = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "hardware": "one core of an AMD EPYC", "seeds": [0]}
    found = {**about, "seconds": round(time.time() - began), "results": results}
    given.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for name, kinds in results.items():
        for kind, row in kinds.items():
            print(name, kind, {key: value for key, value in row.items() if key != "shares"})


if __name__ == "__main__":
    main()
