"""The n-gram control is a proper distribution, is what its equation says, and never sees what it scores."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data.ngram import END, ByteNgram
from unmask.errors import Error

TEXTS = [b"the cat sat on the mat", b"the dog sat on the log", "नमस्ते दुनिया".encode(), b"", bytes(range(256))]


def slow_probability(texts: list[bytes], order: int, history: list[int], symbol: int) -> float:
    """The docstring's recursion, by dictionaries."""
    followers: dict[tuple[int, ...], Counter[int]] = {}
    for text in texts:
        symbols = [257] * (order - 1) + list(text) + [END]
        for place in range(order - 1, len(symbols)):
            for k in range(order):
                followers.setdefault(tuple(symbols[place - k : place]), Counter())[symbols[place]] += 1
    p = 1 / 257
    for k in range(order):
        seen = followers.get(tuple(history[len(history) - k :]))
        if seen:
            p = (seen[symbol] + len(seen) * p) / (seen.total() + len(seen))
    return p


@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_are_those_of_the_equation(order: int) -> None:
    model = ByteNgram(order).fit(TEXTS)
    text = b"the cog sat\xff"
    expected = [
        -math.log(slow_probability(TEXTS, order, [257] * (order - 1) + list(text[:i]), symbol))
        for i, symbol in enumerate([*text, END])
    ]
    np.testing.assert_allclose(model.nats(text), expected, rtol=1e-12)


@given(context=st.binary(max_size=8), order=st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_the_next_symbol_has_probability_one_in_all(context: bytes, order: int) -> None:
    model = ByteNgram(order).fit(TEXTS)
    p = model.distribution(context)
    assert p.shape == (257,) and (p > 0).all()
    assert math.isclose(p.sum(), 1.0, rel_tol=1e-12)
    following = [-model.nats(context + bytes([b]))[len(context)] for b in range(256)]  # nats and distribution agree
    np.testing.assert_allclose(np.exp(following), p[:256], rtol=1e-12)


def test_counts_do_not_depend_on_how_the_text_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ByteNgram(4).fit(TEXTS)
    monkeypatch.setattr("unmask.data.ngram._CHUNK", 8)
    np.testing.assert_array_equal(ByteNgram(4).fit(iter(TEXTS)).nats(b"the cat"), whole.nats(b"the cat"))


def test_samples_follow_the_distribution() -> None:
    model = ByteNgram(3).fit([b"ab", b"abb", b"ba"] * 5)
    drawn = Counter(text for text in model.sample(20_000, 12, seed=1))
    for text in (b"", b"a", b"ab", b"abb", b"ba"):
        p = math.exp(-model.nats(text).sum())
        assert abs(drawn[text] / 20_000 - p) < 5 * math.sqrt(p / 20_000), text  # five standard errors


def test_samples_are_those_of_their_seed() -> None:
    model = ByteNgram(5).fit(TEXTS)
    assert model.sample(3, 20, seed=7) == model.sample(3, 20, seed=7) != model.sample(3, 20, seed=8)


def test_a_longer_order_helps_on_text_and_not_on_noise() -> None:
    text = b"one two three four five six seven eight nine ten " * 40
    noise = np.random.default_rng(0).integers(0, 256, 4000).astype(np.uint8).tobytes()
    bits = {order: ByteNgram(order).fit([text]).nats(text).mean() / math.log(2) for order in (1, 5)}
    assert bits[5] < 0.5 < 3 < bits[1]
    assert ByteNgram(5).fit([noise[:2000]]).nats(noise[2000:]).mean() / math.log(2) > 8


def test_impossible_models_are_refused() -> None:
    with pytest.raises(Error, match="order from 1 to 7"):
        ByteNgram(8)
    with pytest.raises(Error, match="at least one text"):
        ByteNgram(2).fit([])
