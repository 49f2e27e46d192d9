"""Tiny networks with weights large enough that a wrong context changes every logit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer

SIZES = {
    "vocab_size": 23,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 32,
    "initializer_range": 0.3,
}


@pytest.fixture
def tiny() -> Callable[..., Transformer]:
    """Make a random network in evaluation mode: ``tiny(output_shift=0)``."""

    def make(seed: int = 0, **sizes: object) -> Transformer:
        torch.manual_seed(seed)
        return Transformer(TransformerConfig(**{**SIZES, **sizes})).eval()

    return make


@pytest.fixture
def tokens() -> torch.Tensor:
    """Four rows of 12 ordinary tokens (the first four ids are special)."""
    torch.manual_seed(1)
    return torch.randint(4, SIZES["vocab_size"], (4, 12))
