"""Bits per byte: known values, the same for every batching, honest about documents' ends and about its own spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.causal import Causal, CausalOptions
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.process import PROCESSES
from unmask.errors import Error
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.intervals import interval, paired_interval
from unmask.models.transformer import Transformer


def process(name: str, tokenizer: Tokenizer) -> object:
    part = PROCESSES.get(name)
    return part(part.Options(), tokenizer.vocabulary)


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_a_uniform_model_scores_ln_v_a_token(
    name: str, uniform: Transformer, byte_tokenizer: Tokenizer, documents: list[str]
) -> None:
    score = bits_per_byte(uniform, process(name, byte_tokenizer), byte_tokenizer, documents, window=60)
    predicted = byte_tokenizer.vocab_size - 1  # the mask is never predicted
    assert math.isclose(score.nats - score.length_nats, score.tokens * math.log(predicted), rel_tol=1e-6)
    assert score.tokens == score.bytes + score.documents  # bytes, and one end-of-text a document
    assert score.bytes == sum(len(text.encode()) for text in documents)
    assert score.bound == {"causal": "exact", "masked": "upper bound"}[name]
    assert (score.length_nats > 0) == (name == "masked")


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_an_untrained_byte_model_scores_about_8_bits_a_byte(
    name: str, tiny: Transformer, byte_tokenizer: Tokenizer
) -> None:
    texts = ["Once upon a time there was a text of a decent length, which nobody had read. " * 8] * 3
    assert 7.9 < bits_per_byte(tiny, process(name, byte_tokenizer), byte_tokenizer, texts, window=62).value < 8.3


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_a_documents_nats_do_not_depend_on_its_batch(
    name: str, tiny: Transformer, byte_tokenizer: Tokenizer, documents: list[str]
) -> None:
    one, all_ = (
        bits_per_byte(
            tiny, process(name, byte_tokenizer), byte_tokenizer, documents, window=40, draws=3, batch_size=size
        )
        for size in (1, 64)
    )
    np.testing.assert_allclose(one.per_document[0], all_.per_document[0], rtol=1e-5)
    assert one.per_document[1].tolist() == [len(text.encode()) for text in documents]


def test_exact_scores_do_not_depend_on_draws_or_seed(
    tiny: Transformer, byte_tokenizer: Tokenizer, documents: list[str]
) -> None:
    causal = process("causal", byte_tokenizer)
    values = {
        bits_per_byte(tiny, causal, byte_tokenizer, documents, window=40, draws=draws, seed=seed).value
        for draws, seed in ((1, 0), (5, 9))
    }
    assert len(values) == 1


def test_lengths_of_documents_are_not_free_for_a_model_that_is_told_them(byte_tokenizer: Tokenizer) -> None:
    """A world where only the length is random: a perfect masked model knows all but that, and must still pay for it."""

    class Perfect(torch.nn.Module):
        device = torch.device("cpu")

        class config:  # noqa: N801
            max_position_embeddings, vocab_size = 64, byte_tokenizer.vocab_size

        def forward(self, state, at):  # noqa: ANN001, ANN202
            last = state.segments.sum(1)[:, None] - 1 if state.segments is not None else state.tokens.shape[1] - 1
            column = torch.arange(state.tokens.shape[1])[None].expand_as(state.tokens)
            answer = torch.where(column == last, byte_tokenizer.eos_id, byte_tokenizer.encode("a")[0])
            from unmask.diffusion.state import Prediction

            return Prediction(100.0 * torch.nn.functional.one_hot(answer[at], byte_tokenizer.vocab_size).float())

    texts = ["a" * n for n in np.random.default_rng(0).integers(1, 61, 200)]
    score = bits_per_byte(
        Perfect(), Masked(MaskedOptions(), byte_tokenizer.vocabulary), byte_tokenizer, texts, window=62
    )
    assert score.nats >= 200 * math.log(60), "the bound fell below the entropy of the source"


def test_duel_is_exact_for_its_order_and_refused_where_there_is_none(
    tiny: Transformer, byte_tokenizer: Tokenizer
) -> None:
    masked, causal = process("masked", byte_tokenizer), process("causal", byte_tokenizer)
    score = bits_per_byte(tiny, masked, byte_tokenizer, ["a line"], window=16, likelihood="duel")
    assert score.bound.startswith("exact for")
    with pytest.raises(Error, match="no duel likelihood"):
        bits_per_byte(tiny, causal, byte_tokenizer, ["a line"], window=16, likelihood="duel")


def test_what_cannot_be_scored_is_refused(tiny: Transformer, byte_tokenizer: Tokenizer) -> None:
    causal = Causal(CausalOptions(), byte_tokenizer.vocabulary)
    with pytest.raises(Error, match="every document is empty"):
        bits_per_byte(tiny, causal, byte_tokenizer, ["", ""], window=16)
    with pytest.raises(Error, match="smaller window"):
        bits_per_byte(tiny, causal, byte_tokenizer, ["a" * 100], window=100)


def test_the_interval_covers_the_truth() -> None:
    """Worlds of 100 documents whose bits per byte is 2: about 95 % of the intervals hold it."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        sizes = rng.integers(100, 2000, 100).astype(float)
        nats = sizes * 2 * math.log(2) * rng.gamma(20, 1 / 20, 100)
        low, high = interval(nats, sizes)  # type: ignore[misc]
        held += low <= 2 <= high
    assert 0.91 <= held / 600 <= 0.98  # 0.95 give or take four standard errors


def test_a_paired_interval_is_of_the_difference() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(100, 2000, 80).astype(float)
    nats = sizes * rng.gamma(5, 0.4, 80)
    low, high = paired_interval(nats + 0.01 * sizes, nats, sizes)  # type: ignore[misc]
    assert low == pytest.approx(0.01 / math.log(2)) and high == pytest.approx(low)
    assert interval(nats[:1], sizes[:1]) is None
