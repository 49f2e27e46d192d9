"""Untrained run folders with thoughts: predictions far from uniform, so that another thought gives other words."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from unmask.data.tokenizers import make_tokenizer
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.training.recipe import parse_recipe

TEXTS = ["the cat sat on the mat and the dog sat by the door. "] * 30 + ["a red boat under the old bridge. "] * 30
PASSAGE = 12
LONG = "the cat sat on the mat and the dog sat by the door. a red boat under the old bridge. the dog and the cat sat "


def thought_run(folder: Path, *, tokenizer: str = "bpe", process: str = "masked", seed: int = 0, **thought) -> Path:
    """Write a run folder with a random network."""
    words = make_tokenizer(tokenizer, TEXTS, 300)
    section = {"shape": [2, 2, 4], "passage": PASSAGE, "stack": 2, **thought}
    recipe = parse_recipe(
        {
            "data": {"tokenizer": tokenizer, "vocab_size": 300, "length": 96},
            "process": {"name": process},
            "thought": section,
        }
    )
    assert recipe.thought is not None
    torch.manual_seed(seed)
    config = TransformerConfig(
        vocab_size=words.vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=96,
        initializer_range=0.5,
        thought=recipe.thought.model_dump(mode="json"),
    )
    model = Transformer(config).eval()
    with torch.no_grad():
        model.head.weight.mul_(0.3)
    model.save_pretrained(folder)
    words.save(folder / "tokenizer")
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
    (folder / "run.json").write_text(json.dumps({"format": 1, "status": "finished"}))
    return folder
