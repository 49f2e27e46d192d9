"""Accuracy by noise level: known values, every level filled, and a corruption that shows its answer is seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.evaluation.denoising import denoising_profile
from unmask.evaluation.predictions import NEXT, predict_corrupted
from unmask.models.transformer import Transformer

TURNS = ["ab" * 15, "ba" * 15] * 12


def process(name: str, tokenizer: Tokenizer, **options):
    part = PROCESSES.get(name)
    return part(part.Options(**options), tokenizer.vocabulary)


class Answerer(torch.nn.Module):
    """A network that answers a state by a function of it: log-probabilities [B, T, V]."""

    device = torch.device("cpu")

    def __init__(self, tokenizer: Tokenizer, answer) -> None:
        super().__init__()
        self.config = type("Config", (), {"max_position_embeddings": 64, "vocab_size": tokenizer.vocab_size})
        self.answer, self.calls = answer, 0

    def forward(self, state, at):
        self.calls += 1
        return Prediction(self.answer(state)[at])


def alternating(tokenizer: Tokenizer) -> Answerer:
    """The perfect denoiser of ``abab...`` and ``baba...``: one letter in view tells all others."""
    a, b = tokenizer.encode("ab")

    def answer(state):
        letters = state.tokens
        even = torch.arange(letters.shape[1]) % 2 == 0
        says = ((letters == a) & even) | ((letters == b) & ~even)  # votes for "a at even places"
        against = ((letters == b) & even) | ((letters == a) & ~even)
        known = says.any(1).float() - against.any(1).float()
        p_a = 0.5 + 0.5 * known[:, None] * torch.where(even, 1.0, -1.0)
        out = torch.full((*letters.shape, tokenizer.vocab_size), -torch.inf)
        out[..., a], out[..., b] = p_a.log(), (1 - p_a).log()
        return out

    return Answerer(tokenizer, answer)


def test_a_perfect_denoiser_is_perfect_until_nothing_is_left_to_see(byte_tokenizer: Tokenizer) -> None:
    """Where even one letter is in view accuracy is 1 and nats are 0; where none is, 1/2 and ln 2."""
    masked = process("masked", byte_tokenizer)
    edges = (0.0, 0.3, 0.6, 0.9, 0.99, 1.0)  # the last: all 30 letters and the end of the text
    found = predict_corrupted(
        alternating(byte_tokenizer), masked, byte_tokenizer, TURNS, window=60, edges=edges, draws=2
    )
    *some, _, blind = denoising_profile(found).levels
    assert [level.name for level in some] == ["(0, 0.3]", "(0.3, 0.6]", "(0.6, 0.9]"]
    assert all(level.accuracy == 1 and level.nats == pytest.approx(0, abs=1e-6) for level in some)
    assert blind.nats == pytest.approx(math.log(2), rel=1e-6)
    assert blind.positions == 30 * blind.states and blind.states == 2 * len(TURNS)
    assert blind.accuracy == pytest.approx(0.5)  # each text is half a
    assert blind.unigram_accuracy == pytest.approx(0.5) and blind.unigram_nats > math.log(2)


@pytest.mark.parametrize(
    "options",
    [{}, {"schedule": "cosine"}, {"times": "bell", "weighting": "elbo"}, {"schedule": "polynomial:3"}],
    ids=["linear", "cosine", "bell-elbo", "cubic"],
)
def test_every_noise_level_is_filled_whatever_the_schedule(
    options: dict, uniform: Transformer, byte_tokenizer: Tokenizer
) -> None:
    found = predict_corrupted(
        uniform, process("masked", byte_tokenizer, **options), byte_tokenizer, TURNS, window=60, draws=2
    )
    assert found.states.tolist()[1:-1] == [2 * len(TURNS)] * 4
    assert min(found.states) >= 0.8 * 2 * len(TURNS), "the ends are rare in the bell, and still filled"


def test_noise_levels_are_the_actual_ones(byte_tokenizer: Tokenizer) -> None:
    seen: list[float] = []

    def answer(state):
        hidden = (state.tokens == byte_tokenizer.mask_id).sum(1) / 31
        seen.extend(hidden.tolist())
        return torch.zeros(*state.tokens.shape, byte_tokenizer.vocab_size)

    found = predict_corrupted(
        Answerer(byte_tokenizer, answer), process("masked", byte_tokenizer), byte_tokenizer, TURNS, window=60
    )
    edges = [0.1, 0.3, 0.5, 0.7, 0.9]
    expected = np.bincount(np.searchsorted(np.float32(edges), np.float32(seen)), minlength=6)
    assert found.states.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_a_uniform_model_pays_ln_v_and_knows_nothing(
    name: str, uniform: Transformer, byte_tokenizer: Tokenizer, documents: list[str]
) -> None:
    levels = denoising_profile(
        predict_corrupted(uniform, process(name, byte_tokenizer), byte_tokenizer, documents, window=60)
    ).levels
    assert [level.name for level in levels] == [NEXT] if name == "causal" else len(levels) == 6
    for level in levels:
        assert level.nats == pytest.approx(math.log(byte_tokenizer.vocab_size - 1), rel=1e-5)
        assert level.accuracy == 0 < level.unigram_accuracy
        assert level.unigram_nats < level.nats


def test_left_to_right_every_byte_is_asked_once_and_a_copy_repeats_the_one_before(
    uniform: Transformer, byte_tokenizer: Tokenizer
) -> None:
    text = "aab" * 10
    found = predict_corrupted(uniform, process("causal", byte_tokenizer), byte_tokenizer, [text, text], window=40)
    (level,) = denoising_profile(found).levels
    assert level.positions == 60 and level.states == 2
    assert level.copy_accuracy == pytest.approx(10 / 30)


def test_a_copy_of_a_mask_is_never_right_and_a_state_that_shows_its_answer_is_seen(byte_tokenizer: Tokenizer) -> None:
    """The leak would be taken for a perfect model, were it not for the copy beside it."""

    class Leaky(Masked):
        def corrupt(self, batch, seed, progress=1.0):
            corrupted = super().corrupt(batch, seed, progress)
            return replace(corrupted, state=replace(corrupted.state, tokens=batch.tokens))

    def copier(state):
        return 50 * torch.nn.functional.one_hot(state.tokens, byte_tokenizer.vocab_size).float()

    model = Answerer(byte_tokenizer, copier)
    honest, leaky = (
        denoising_profile(
            predict_corrupted(
                model, kind(MaskedOptions(), byte_tokenizer.vocabulary), byte_tokenizer, TURNS[:4], window=60
            )
        ).levels
        for kind in (Masked, Leaky)
    )
    assert all(level.copy_accuracy == 0 and level.accuracy == 0 for level in honest)
    assert all(level.accuracy == 1 and level.copy_accuracy == 1 for level in leaky)


def test_the_unigram_is_counted_on_other_windows_or_where_it_is_told_to(
    uniform: Transformer, byte_tokenizer: Tokenizer
) -> None:
    causal, texts = process("causal", byte_tokenizer), ["aaaa", "bbbb", "bbbb"]
    own = predict_corrupted(uniform, causal, byte_tokenizer, texts, window=8)
    assert own.unigram_correct[own.document == 0].tolist() == [False] * 4, "its own letters were counted"
    kinds = byte_tokenizer.vocab_size - 1
    assert own.unigram_nats[own.document == 0] == pytest.approx(-math.log(0.5 / (8 + kinds / 2)), rel=1e-5)
    assert own.unigram_nats[own.document == 1] == pytest.approx(-math.log(4.5 / (8 + kinds / 2)), rel=1e-5)
    counts = torch.zeros(byte_tokenizer.vocab_size)
    counts[byte_tokenizer.encode("a")[0]] = 1000
    told = predict_corrupted(uniform, causal, byte_tokenizer, texts, window=8, unigram=counts)
    assert told.unigram_correct.tolist() == (told.document == 0).tolist()


def test_the_same_states_are_asked_in_every_batching_and_others_under_another_seed(
    tiny: Transformer, byte_tokenizer: Tokenizer, documents: list[str]
) -> None:
    masked = process("masked", byte_tokenizer)

    def nats(**options) -> np.ndarray:
        found = predict_corrupted(tiny, masked, byte_tokenizer, documents, window=40, **options)
        return np.sort(found.nats)

    np.testing.assert_allclose(nats(batch_size=1), nats(batch_size=64), rtol=1e-4)
    assert nats().shape != nats(seed=1).shape or not np.allclose(nats(), nats(seed=1))


def test_intervals_are_over_documents(byte_tokenizer: Tokenizer) -> None:
    """Two kinds of documents, one restored and one not: 24 documents cannot say more than their number allows."""
    texts = ["a" * 40] * 12 + ["b" * 40] * 12
    (letter,) = byte_tokenizer.encode("a")

    def answer(state):
        out = torch.zeros(*state.tokens.shape, byte_tokenizer.vocab_size)
        out[..., letter] = 1.0
        return out

    found = predict_corrupted(
        Answerer(byte_tokenizer, answer), process("causal", byte_tokenizer), byte_tokenizer, texts, window=50
    )
    (level,) = denoising_profile(found).levels
    low, high = level.accuracy_interval
    assert level.accuracy == 0.5 and level.positions == 960
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 24), rel=0.15)  # by positions it would be 0.06
    assert denoising_profile(found.at(0)).to_dict()["levels"][0]["name"] == NEXT


def test_what_cannot_be_measured_is_refused(
    uniform: Transformer, byte_tokenizer: Tokenizer, documents: list[str]
) -> None:
    masked = process("masked", byte_tokenizer)
    with pytest.raises(Error, match="must rise from 0 to 1"):
        predict_corrupted(uniform, masked, byte_tokenizer, documents, window=40, edges=(0, 0.5))
    with pytest.raises(Error, match="at least 1"):
        predict_corrupted(uniform, masked, byte_tokenizer, documents, window=40, draws=0)
    with pytest.raises(Error, match="every document is empty"):
        predict_corrupted(uniform, masked, byte_tokenizer, [""], window=40)
