"""What evidence is worth: bits per byte behind the query with a text's neighbours, another's, random ones and none.

    OMP_NUM_THREADS=1 python -m benchmarks.studies.evidence.behind --source TRAIN --valid VALID

A nano network is trained on the first ``--documents`` texts of the source with evidence from an index over the same
texts (a text's own and its near-copies left out), and held-out texts are scored behind their query:

* *true*: what their query finds;  *shuffled*: what another text's query finds;  *random*: any texts of the index;
* *none*: the query alone;  *leak*: what the hidden part itself finds, which no sampler could look up (a ceiling).

``eco`` is masked diffusion on backbone eco; ``eco, taught without`` sees evidence in one row of a hundred; ``five in
one`` adds candidates (sparse), thoughts and the Q-controller.
Results go to ``benchmarks/results/evidence.json``; rows that are already there are not run again.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lib.places import RESULTS
from benchmarks.studies.evidence.worth import heads, worth_of_evidence
from unmask.api.index import build_index
from unmask.api.sample import sample
from unmask.api.train import train
from unmask.data.corpus import documents, load_corpus
from unmask.roots.evidence import find_evidence, vectors_of
from unmask.roots.index import open_index
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import Run

RESULT = RESULTS / "evidence.json"
SIZES = [
    "data.tokenizer=bpe",
    "data.length=192",
    "backbone.hidden_size=96",
    "backbone.match=null",
    "backbone.intermediate_size=192",
    "training.learning_rate=3e-3",
    "training.valid_blocks=0",
    "training.save_steps=100000",
    "training.ema=0.99",
    "evidence.query=32",
    "evidence.texts=4",
]
ROWS: dict[str, list[str]] = {
    "eco": [],
    "eco, taught without": ["evidence.dropout=0.99"],
    "five in one": [
        "process={name: sparse, candidates: 4}",
        "thought={shape: [4, 4, 16], passage: 96, stack: 4}",
        "qcontroller={name: mended, probe: 4}",
        "training.per_device_train_batch_size=4",
    ],
}
PROMPT = (
    "Once upon a time, there was a little dog named Max. Max loved to play in the park with his friends and his ball"
)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--valid", required=True)
    parser.add_argument("--documents", type=int, default=6000)
    parser.add_argument("--scored", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rows", nargs="*", default=list(ROWS))
    parser.add_argument("--results", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stored = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {"rows": {}}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        texts = islice(
            documents(load_corpus(arguments.source, valid=arguments.valid).split("train")), arguments.documents
        )
        corpus = root / "text.jsonl"
        corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        began = time.perf_counter()
        build_index(str(corpus), root / "index")
        built = time.perf_counter() - began
        for row in arguments.rows:
            key = f"{row} | {arguments.steps} steps"
            if key in stored["rows"]:
                continue
            made = {"trained_on": arguments.documents, "index_seconds": round(built, 1)}
            stored["rows"][key] = made | one(row, corpus, root, arguments)
            stored |= {
                "command": f"python -m {__spec__.name} --source SOURCE --valid VALID",
                "source": Path(arguments.source).name,
                "hardware": f"{platform.machine()}, 1 thread",
                "date": time.strftime("%Y-%m-%d"),
            }
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            arguments.results.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
            table(key, stored["rows"][key])


def one(row: str, corpus: Path, root: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, score and sample one row."""
    steps = f"training.max_steps={arguments.steps}"
    given = [f"data.source={corpus}", f"data.valid={arguments.valid}", f"evidence.index={root / 'index'}"]
    recipe = load_recipe("nano-eco", [*given, *SIZES, *ROWS[row], steps])
    began = time.process_time()
    run = train(recipe, output=root / row.replace(" ", "-"))
    if run.manifest["status"] != "finished":
        raise SystemExit(130)
    trained = time.process_time() - began
    scored, told = score(run, recipe, arguments)
    written = sample(run, PROMPT, index=root / "index", max_tokens=60, steps=32, seed=1)
    return {
        "conditions": scored,
        **told,
        "parameters": run.manifest["parameters"],
        "train_seconds": run.manifest["train_seconds"],
        "cpu_seconds_of_training": round(trained, 1),
        "tokens_seen": run.manifest["tokens_seen"],
        "memory_weight": round(float(run.model("cpu").retrieved.project.weight.detach().norm()), 3),
        "sample": {
            "query": written.query,
            "text": written.texts[0],
            "evidence": [asdict(found) for found in written.evidence or []],
        },
    }


def score(run: Run, recipe: Recipe, arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score held-out texts under all conditions."""
    wanted = recipe.evidence
    assert wanted is not None
    tokenizer, index = run.tokenizer, open_index(wanted.index)
    texts = load_corpus(arguments.source, valid=arguments.valid).split("valid")["text"][: arguments.scored]
    rows = heads(tokenizer, texts, recipe.data.length, wanted.query)
    kept = [place for place, row in enumerate(rows) if row]
    rows, texts = [rows[place] for place in kept], [texts[place] for place in kept]
    queries = [tokenizer.decode(row[1 : 1 + wanted.query]) for row in rows]
    behind = [tokenizer.decode(row[1 + wanted.query :]) for row in rows]
    true = find_evidence(wanted, queries, texts, f"scored {run.tokenizer.fingerprint}")
    leak = find_evidence(wanted, behind, texts, f"leak {run.tokenizer.fingerprint}")
    rng = np.random.default_rng(0)
    chance = vectors_of(index, rng.integers(len(index), size=true.members.shape))
    own, own_leak = memories(true.vectors, true.members), memories(leak.vectors, leak.members)
    conditions = {
        "true": own,
        "shuffled": [*own[1:], own[0]],
        "random": memories(chance, true.members),
        "leak": own_leak,
    }
    found = worth_of_evidence(run.model("cpu"), run.process, tokenizer, rows, conditions, query=wanted.query)
    told = {
        name: {
            "bits_per_byte": round(one.value, 4),
            "bound": one.bound,
            "gain": round(one.gain, 4),
            "gain_interval": [round(end, 4) for end in one.gain_interval or ()],
        }
        for name, one in found.items()
    }
    there = np.isfinite(true.scores)
    bytes_scored = sum(len(text.encode()) for text in behind)
    same = float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(true.members, leak.members, strict=True)]))
    return told, {
        "documents": len(rows),
        "bytes": bytes_scored,
        "index_texts": len(index),
        "mean_cosine": round(float(true.scores[there].mean()), 3),
        "share_found": round(float(there.mean()), 4),
        "evidence_shared_with_leak": round(same, 3),
    }


def memories(vectors: np.ndarray, members: np.ndarray) -> list[torch.Tensor | None]:
    """Return the vectors of each row that are there."""
    return [
        torch.from_numpy(own[there >= 0].astype(np.float32)) if (there >= 0).any() else None
        for own, there in zip(vectors, members, strict=True)
    ]


def table(key: str, row: dict[str, Any]) -> None:
    """Print one row's conditions as markdown."""
    print(f"\n{key}: {row['documents']} documents, {row['parameters']:,} parameters\n")
    print("| evidence | bits per byte | gain over none (95 % interval) |\n|---|---|---|")
    for name, one in row["conditions"].items():
        low, high = one["gain_interval"] or ("", "")
        print(f"| {name} | {one['bits_per_byte']} | {one['gain']} ({low} to {high}) |")


if __name__ == "__main__":
    main()
