"""Batches and tiny networks for the processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from unmask.data.batch import Batch
from unmask.diffusion.state import Prediction, State
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer

PAD, BOS, EOS, MASK, VOCABULARY = 0, 1, 2, 3, 23


def make_batch(rows: int = 8, length: int = 16, seed: int = 0, order: int = 0, ragged: bool = False) -> Batch:
    """Random tokens behind BOS; ragged: two documents and padding in each row."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(4, VOCABULARY, (rows, length), generator=generator)
    tokens[:, 0] = BOS
    segments = torch.ones_like(tokens)
    if ragged:
        for row in range(rows):
            border, end = 3 + row % 5, length - row // 2 % 6
            tokens[row, border - 1], tokens[row, border] = EOS, BOS
            segments[row, border:] = 2
            tokens[row, end:] = PAD
            segments[row, end:] = 0
    return Batch(tokens, segments, order + torch.arange(rows), BOS)


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
            "vocab_size": VOCABULARY,
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

    def __init__(self, vocabulary: int = VOCABULARY) -> None:
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
