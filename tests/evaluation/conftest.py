"""Tiny models and documents for the evaluation tests."""

from __future__ import annotations

import pytest
import torch

from unmask.data.tokenizers import Tokenizer, make_tokenizer
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    """The bytes tokenizer."""
    return make_tokenizer("bytes", [], 0)


@pytest.fixture
def tiny(byte_tokenizer: Tokenizer) -> Transformer:
    """An untrained byte model."""
    torch.manual_seed(0)
    config = TransformerConfig(
        vocab_size=byte_tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return Transformer(config).eval()


@pytest.fixture
def uniform(tiny: Transformer) -> Transformer:
    """A model that gives every token the same probability, whatever it sees."""
    with torch.no_grad():
        tiny.norm.weight.zero_()
    return tiny


DOCUMENTS = [
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all. " * 2,
    "A short one.",
    "नमस्ते दुनिया, यह एक छोटा सा वाक्य है।",
    "x",
    "Numbers 1234567890 and signs !?-+ too, in a document of a middling length.",
]


@pytest.fixture
def documents() -> list[str]:
    """A few documents of other lengths and scripts."""
    return list(DOCUMENTS)
