"""Rows that are trained at equal tokens, several seeds each, and scored on one held-out text; stored row by row.

These are no sweep plans (``unmask sweep``), although a plan can say the rows: a plan chooses documents by hash and
windows by the contexts of its runs, and keeps its scores in its own folder. The stored tables, which the pages and the
ledger show and later rows are held against, are of a source's first documents, in windows of given bytes. A new
question about recipe keys alone is better asked by a plan.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.cells import seeds_of, spread
from unmask.data.corpus import Corpus, load_corpus
from unmask.evaluation.bits import bits_per_byte
from unmask.training.recipe import load_recipe
from unmask.training.run import Run
from unmask.training.train import train

Overrides = list[str]


def parser(results: Path) -> argparse.ArgumentParser:
    """Return what reads the options of an ablation, whose rows go to ``results``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True, help="text to train on")
    parser.add_argument("--valid", help="held-out text; default: a part of the source")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--documents", type=int, default=40, help="held-out documents that are scored")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="run only rows whose name this regular expression finds")
    parser.add_argument("--results", type=Path, default=results)
    return parser


def stored_rows(path: Path) -> dict[str, Any]:
    """Return what is stored; ``rows`` is there."""
    return json.loads(path.read_text()) if path.is_file() else {"rows": {}}


def keep(stored: dict[str, Any], arguments: argparse.Namespace, command: str) -> None:
    """Write rows with the command, the machine and the date."""
    stored |= {
        "command": command,
        "hardware": f"{platform.machine()}, {arguments.threads} threads",
        "date": time.strftime("%Y-%m-%d"),
    }
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(stored, indent=1, ensure_ascii=False))


def fill(
    arguments: argparse.Namespace,
    command: str,
    rows: Iterable[str],
    one: Callable[[str, int], dict[str, Any]],
    *,
    begin: Mapping[str, Any] | None = None,
    label: Callable[[str], str] = str,
) -> dict[str, Any]:
    """Measure the rows that are not stored yet, storing each, and return all.

    Args:
        arguments: Of :func:`parser`.
        command: What is stored as the command.
        rows: Their names.
        one: Trains and scores a row with a seed.
        begin: Rows that a first file begins with.
        label: Name of a row in the file.
    """
    torch.set_num_threads(arguments.threads)
    stored = stored_rows(arguments.results)
    stored["rows"] = stored["rows"] or dict(begin or {})
    for seed in range(arguments.seeds):
        for row in rows:
            key = f"{label(row)} | seed {seed} | {arguments.steps} steps"
            if key in stored["rows"] or not re.search(arguments.only, row):
                continue
            stored["rows"][key] = one(row, seed)
            stored["source"] = Path(arguments.source).name
            keep(stored, arguments, command)
            print(key, stored["rows"][key], flush=True)
    found: dict[str, Any] = stored["rows"]
    return found


def corpus_of(arguments: argparse.Namespace) -> tuple[Corpus, list[str]]:
    """Return the corpus and the held-out documents that are scored."""
    corpus = load_corpus(arguments.source, valid=arguments.valid)
    return corpus, corpus.split("valid")["text"][: arguments.documents]


@contextmanager
def trained(recipe: str, overrides: Overrides, seed: int, steps: int, arguments: argparse.Namespace) -> Iterator[Run]:
    """Train a row, and give its run, whose folder goes afterwards."""
    data = [f"data.source={arguments.source}"] + ([f"data.valid={arguments.valid}"] if arguments.valid else [])
    given = [f"training.max_steps={steps}", "training.valid_blocks=0", "training.save_steps=100000", f"seed={seed}"]
    resolved = load_recipe(recipe, [*overrides, *data, *given])
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolved, Path(folder) / "run")
        if run.manifest["status"] != "finished":
            raise SystemExit(130)
        yield run


def scored(
    recipe: str, overrides: Overrides, seed: int, steps: int, arguments: argparse.Namespace, window: int = 256
) -> dict[str, Any]:
    """Train and score one row with one seed, in windows of so many bytes."""
    with trained(recipe, overrides, seed, steps, arguments) as run:
        texts = corpus_of(arguments)[1]
        bits = bits_per_byte(run.model("cpu"), run.process, run.tokenizer, texts, window=window, draws=8)
    return {
        "bits_per_byte": round(bits.value, 4),
        "bound": bits.bound,
        "bytes": bits.bytes,
        "tokens_seen": run.manifest["tokens_seen"],
        "parameters": run.manifest["parameters"],
        "corpus_fingerprint": run.manifest["corpus_fingerprint"],
        "seconds": run.manifest["train_seconds"],
    }


def measure(
    rows: Mapping[str, tuple[str, Overrides]], results: Path, module: str, begin: Mapping[str, Any] | None = None
) -> None:
    """Do a whole ablation whose rows are a recipe and its overrides: options, rows, and the table as markdown."""
    arguments = parser(results).parse_args()

    def one(row: str, seed: int) -> dict[str, Any]:
        recipe, overrides = rows[row]
        steps = arguments.steps * (2 if "half the batch" in row else 1)  # the same tokens
        return scored(recipe, overrides, seed, steps, arguments)

    found = fill(arguments, f"python -m {module} --source SOURCE --valid VALID", rows, one, begin=begin)
    print("\n| row | bits per byte (mean +- sd) | seeds |\n|---|---|---|")
    for row in dict.fromkeys([*(key.split(" | ")[0] for key in begin or {}), *rows]):
        if values := [entry["bits_per_byte"] for entry in seeds_of(found, row, arguments.steps)]:
            print(f"| {row} | {spread(values)} | {len(values)} |")
