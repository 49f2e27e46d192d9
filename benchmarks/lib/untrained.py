"""Run folders with fresh weights, written without training: their speed is that of trained ones."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.lib.parts import small
from unmask.data.corpus import documents, load_corpus
from unmask.data.tokenizers import Tokenizer, make_tokenizer
from unmask.models.cost import parameter_count
from unmask.training.network import make_model
from unmask.training.run import MANIFEST, RECIPE, Run, write_json


def vocabulary(quick: bool) -> Tokenizer:
    """Return a tokenizer of the small recipes' size, learned from Python's own documentation; quick: bytes."""
    if quick:
        return make_tokenizer("bytes", [], 0)
    return make_tokenizer(
        "bpe", documents(load_corpus("pydocs").split("train")), small("causal", quick).data.vocab_size
    )


def write_untrained(process: str, folder: Path, tokenizer: Tokenizer, quick: bool) -> Run:
    """Write a run of ``stories-small-PROCESS`` that has learned nothing.

    Args:
        process: Its process.
        folder: The run's folder; new.
        tokenizer: Of its texts.
        quick: Cut down, as benchmarks do.
    """
    recipe = small(process, quick, [f"data.tokenizer={tokenizer.name}"])
    network = make_model(recipe, tokenizer.vocab_size)
    network.save_pretrained(folder)
    tokenizer.save(folder / "tokenizer")
    (folder / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 0, "tokens": 0}) + "\n", encoding="utf-8")
    manifest = {"format": 1, "status": "finished", "tokens_seen": 0, "parameters": parameter_count(network)}
    manifest |= {"corpus": "none", "corpus_fingerprint": "none", "tokenizer": tokenizer.name}
    write_json(folder / MANIFEST, manifest)
    return Run.open(folder)
