"""A small corpus, and run folders with untrained networks, written without training: for several folders of tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unmask.data.corpus import load_corpus
from unmask.data.tokenizers import make_tokenizer
from unmask.evaluation.contention import Load
from unmask.models.cost import parameter_count
from unmask.training.network import make_model
from unmask.training.recipe import parse_recipe
from unmask.training.run import Run

FOLDERS = ("pictures", "readers", "reports", "sweeps")
"""Folders of the tests that use this."""
WORDS = "the a red old small boat house river cat dog sees finds keeps under over near and then soon never".split()


def write_corpus(path: Path, documents: int, seed: int) -> Path:
    """Write documents of random sentences, one a line."""
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for _ in range(documents):
            text = " ".join(rng.choice(WORDS, int(rng.integers(8, 40)))) + "."
            file.write(json.dumps({"text": text}) + "\n")
    return path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, and a cache of its own."""
    folder = tmp_path_factory.mktemp("world")
    write_corpus(folder / "text.jsonl", 120, seed=0)
    return folder


@pytest.fixture(scope="session")
def own_cache(world: Path) -> Iterator[None]:
    """Keep the corpora out of everybody's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNMASK_CACHE", str(world / "cache"))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """No time counts as taken under load: what else runs beside these tests, and their fixtures, decides nothing.

    A fixture of the session would leave this behind for the tests of other folders, and this hook is asked about these.
    """
    if item.path.parent.name not in FOLDERS:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Load, "contended", lambda load, threads: False)
        return (yield)


MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def make_run(world: Path, own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Return a function that writes a run folder with an untrained byte network."""

    def make(
        name: str,
        process: str = "causal",
        *,
        width: int = 16,
        tokens: int = 1000,
        seed: int = 0,
        decide: dict[str, Any] | None = None,
        **data: Any,
    ) -> Path:
        recipe = parse_recipe(
            {
                "name": name,
                "seed": seed,
                "decide": decide,
                "data": {
                    "source": str(world / "text.jsonl"),
                    "valid_fraction": 0.3,
                    "judge_fraction": 0.2,
                    "tokenizer": "bytes",
                    "length": 32,
                    **data,
                },
                "process": {"name": process},
                "backbone": {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2},
            }
        )
        folder = tmp_path_factory.mktemp("runs") / name
        tokenizer = make_tokenizer("bytes", [], 0)
        model = make_model(recipe, tokenizer.vocab_size)
        model.save_pretrained(folder)
        tokenizer.save(folder / "tokenizer")
        (folder / "recipe.yaml").write_text(recipe.to_yaml())
        section = recipe.data
        corpus = load_corpus(
            section.source, valid_fraction=section.valid_fraction, judge_fraction=section.judge_fraction
        )
        manifest = {
            "format": 1,
            "status": "finished",
            "parameters": parameter_count(model),
            "tokens_seen": tokens,
            "training_flops": 1e6 * tokens,
            "train_seconds": tokens / 123,
            "corpus_fingerprint": corpus.fingerprint,
            "tok_per_s": 123.0,
            "device": "cpu",
            "threads": 1,
            "precision": "fp32",
        }
        (folder / "run.json").write_text(json.dumps(manifest))
        rows = [{"step": s, "tokens": 10 * s, "loss": 6.0 - s / 10} for s in range(1, 6)]
        rows.append({"step": 6, "tokens": 60, "valid_nats_per_token": 5.4})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return Run.open(folder).path

    return make
