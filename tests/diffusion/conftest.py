"""Batches and tiny networks for the processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from guards.parts import IDS, make_batch
from unmask.data.batch import Batch
from unmask.diffusion.state import Prediction, State
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """Make a batch: ``batch(rows=4, ragged=True)``."""
    return make_batch


@pytest.fixture
def tiny() -> Callable[..., Transformer]:
    """Make a random network: ``tiny(output_shift=0)``. Its logits differ from position to position."""

    def make(seed: int = 0, **sizes: object) -> Transformer:
        torch.manual_seed(seed)
        given = {
            "vocab_size": IDS,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "max_position_embeddings": 64,
            "initializer_range": 0.4,
        }
        return Transformer(TransformerConfig(**{**given, **sizes})).eval()

    return make


class Spy:
    """A network that remembers what it was asked, and answers with equal logits."""

    def __init__(self, vocabulary: int = IDS) -> None:
        self.vocabulary = vocabulary
        self.calls: list[tuple[State, torch.Tensor]] = []

    def __call__(self, state: State, at: torch.Tensor) -> Prediction:
        """Note the call."""
        self.calls.append((state, at))
        return Prediction(torch.zeros(int(at.sum()), self.vocabulary, requires_grad=True))


@pytest.fixture
def spy() -> Callable[..., Spy]:
    """Make a network that remembers its calls."""
    return Spy
