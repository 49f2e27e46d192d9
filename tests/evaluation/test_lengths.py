"""Codes of lengths: probabilities over all lengths, never dearer than even ones by a bit, and the issue they mend."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.state import Prediction
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.lengths import SHARES, WIDTHS, _bells, length_code, told_nats


def test_every_distribution_of_the_grid_sums_to_one() -> None:
    for shortest, longest in ((1, 9), (0, 40), (1, 1)):
        values = np.arange(shortest, longest + 1)
        for width in WIDTHS:
            np.testing.assert_allclose(_bells(values, values, width, shortest, longest).sum(1), 1, rtol=1e-12)


def test_a_code_pays_for_its_choice_and_is_at_most_a_bit_dearer_than_even_lengths() -> None:
    rng = np.random.default_rng(0)
    for lengths in (
        [3],
        [7] * 500,
        rng.integers(1, 64, 30),
        np.clip(rng.normal(40, 3, 900).round(), 1, 63).astype(int),
    ):
        code = length_code(lengths, 63)
        _, counts = np.unique(lengths, return_counts=True)
        entropy = -(counts * np.log(counts / counts.sum())).sum()
        assert entropy + math.log(2) <= code.nats.sum() <= len(lengths) * math.log(63) + math.log(2) + 1e-9
    grid = math.log(2 * 63 * len(WIDTHS) * len(SHARES))
    alike = length_code([7] * 500, 63)
    assert alike.center == 7 and alike.width == 0 and alike.choice == pytest.approx(grid)
    assert alike.nats.sum() < grid + 1, "lengths that are all alike cost little more than to say so"
    with pytest.raises(ValueError, match="from 1 to 63"):
        length_code([64], 63)


def test_who_is_not_told_pays_nothing() -> None:
    assert told_nats(SimpleNamespace(told_length=False), [3, 4], 9).tolist() == [0, 0]
    assert told_nats(SimpleNamespace(told_length=True), [], 9).tolist() == []


def test_a_network_that_knows_a_window_by_its_length_is_not_below_the_entropy() -> None:
    """Windows of eight bytes that are ``abababab``, 8 tokens, or ``AAAABBBB``, 2, evenly: 1/8 bit a byte."""

    class Tokens:
        pad_id, bos_id, eos_id, mask_id = range(4)

        def encode_batch(self, texts: list[str]) -> list[list[int]]:
            return [[4, 5] * 4 if text == "abababab" else [6, 7][: len(text) // 4] for text in texts]

    class Perfect(torch.nn.Module):
        device = torch.device("cpu")
        config = SimpleNamespace(max_position_embeddings=16, vocab_size=8)

        def forward(self, state, at):  # noqa: ANN001, ANN202
            width = state.tokens.shape[1]
            there = (
                state.segments > 0 if state.segments is not None else torch.ones_like(state.tokens, dtype=torch.bool)
            )
            count = there.sum(1, keepdim=True) - 1
            column = torch.arange(width)[None]
            answer = torch.where(count > 3, 4 + (column - 1) % 2, 5 + column).clamp(max=7)
            answer = torch.where((column == count) & (count % 2 == 1), 2, answer)  # an end makes a count odd
            return Prediction(100.0 * torch.nn.functional.one_hot(answer[at], 8).float())

    rng = np.random.default_rng(0)
    texts = ["".join(np.where(rng.random(40) < 0.5, "abababab", "AAAABBBB")) for _ in range(50)]
    process = Masked(MaskedOptions(), Vocabulary())
    score = bits_per_byte(Perfect(), process, Tokens(), texts, window=8)  # type: ignore[arg-type]
    assert score.nats - score.length_nats < 1e-3, "what is told is certain, and was all that was paid for"
    even = (math.log(15) * score.bytes / 8 + math.log(2)) / math.log(2) / score.bytes
    assert 0.125 <= score.value <= even + 1e-6
