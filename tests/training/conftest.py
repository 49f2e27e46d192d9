"""A text file and a recipe small enough to train in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unmask.training.recipe import Recipe, load_recipe

TINY = [
    "data.tokenizer=bytes",
    "data.length=32",
    "backbone.hidden_size=32",
    "backbone.num_hidden_layers=2",
    "backbone.num_attention_heads=2",
    "backbone.intermediate_size=64",
    "backbone.dropout=0.1",
    "training.per_device_train_batch_size=4",
    "training.max_steps=8",
    "training.save_steps=4",
    "training.eval_steps=4",
    "training.logging_steps=1",
    "training.warmup_steps=2",
    "training.valid_blocks=4",
    "training.ema=0.9",
]


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    for i in range(40):
        (folder / f"{i:02}.txt").write_text(
            f"Story {i}. The cat number {i} sat on mat {i * 7 % 13}.\n" * 3, encoding="utf-8"
        )
    return folder


@pytest.fixture(scope="session")
def tiny(text_file: Path) -> Callable[..., Recipe]:
    """``tiny("nano-masked", "seed=1")``: a packaged recipe shrunk to nothing."""

    def make(name: str, *overrides: str) -> Recipe:
        return load_recipe(name, [f"data.source={text_file}", *TINY, *overrides])

    return make
