"""The table of entropies is the entropy of the n-gram's distribution, before each byte and from what it may see."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy

HINDI = "नमस्ते दुनिया, नमस्ते जी।\n".encode()
TEXTS = [
    b"the cat sat on the mat\n",
    b"the dog sat on the log\nand sat",
    HINDI * 3,
    b"",
    bytes(range(256)),
    b"aaaa" * 9,
]
MODELS = {order: NgramEntropy(ByteNgram(order).fit(TEXTS)) for order in range(1, 8)}
NEAR = st.lists(st.sampled_from([b"the ", b"sat", b"\n", b"a", HINDI[:9], b"\xff", b"z"]), max_size=8).map(b"".join)


def entropy_of(p: np.ndarray) -> float:
    return float(-(p * np.log(p)).sum())


@pytest.mark.parametrize("order", MODELS)
@given(data=NEAR | st.binary(max_size=12))
@settings(max_examples=25, deadline=None)
def test_it_is_the_entropy_of_the_distribution_before_each_byte(order: int, data: bytes) -> None:
    expected = [entropy_of(MODELS[order].model.distribution(data[:t])) for t in range(len(data))]
    np.testing.assert_allclose(MODELS[order].entropy(data), expected, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5])
@given(data=NEAR, cut=st.integers(0, 40), change=st.binary(max_size=6))
@settings(max_examples=25, deadline=None)
def test_no_later_byte_changes_an_earlier_entropy(order: int, data: bytes, cut: int, change: bytes) -> None:
    cut = min(cut, len(data))
    whole, other = MODELS[order].entropy(data), MODELS[order].entropy(data[:cut] + change)
    kept = cut + 1  # H of byte t is decided by the bytes before t, so that of the first changed byte stays
    np.testing.assert_array_equal(whole[:kept][: len(other)], other[:kept][: len(whole)])


@pytest.mark.parametrize("order", [1, 3, 5])
@given(data=NEAR, ends=st.lists(st.integers(1, 30), max_size=4))
@settings(max_examples=40, deadline=None)
def test_what_is_forgotten_does_not_matter_and_a_stream_says_the_same(order: int, data: bytes, ends: list[int]) -> None:
    model = MODELS[order]
    since = np.zeros(len(data), np.int64)
    for end in ends:
        since[end:] = np.maximum(since[end:], end)
    found = model.entropy(data, since)
    stream = model.stream()
    for t, byte in enumerate(data):
        if t and since[t] == t:
            stream.forget(0)
        assert stream.value == found[t]
        stream.push(byte)
        first = int(since[t])
        if first:
            other = b"\x01" * first + data[first:]
            assert model.entropy(other, since)[t] == found[t], "forgotten bytes are seen"


@pytest.mark.parametrize("order", [1, 2, 5])
def test_forgetting_what_was_before_the_whole_text_changes_nothing(order: int) -> None:
    stream, plain = MODELS[order].stream(), MODELS[order].stream()
    stream.forget(0)
    for read, byte in enumerate(b"the cat", 1):
        assert stream.value == plain.value
        stream.push(byte)
        plain.push(byte)
        stream.forget(read)


def test_a_short_memory_backs_off_to_a_short_order() -> None:
    data = b"the cat sat on the mat"
    forgetful = MODELS[5].entropy(data, np.arange(len(data)))  # only t = 0 knows anything: that the text begins
    assert (forgetful[1:] == MODELS[1].entropy(b"x")[0]).all() and forgetful[0] == MODELS[5].entropy(data)[0]
    pairs = MODELS[5].entropy(data, np.maximum(np.arange(len(data)) - 1, 0))
    np.testing.assert_allclose(pairs[2:], MODELS[2].entropy(data)[2:], atol=1e-12)


def character_entropy(model: ByteNgram, context: bytes) -> float:
    """The docstring's chain rule, by trying every byte of every character."""

    @cache
    def left(seen: bytes, owed: int) -> float:
        p = model.distribution(seen)
        h = entropy_of(p)
        if owed == 1:
            return h
        for byte in range(0x80, 0xC0) if owed else range(0xC2, 0xF5):
            more = owed - 1 if owed else 1 + (byte >= 0xE0) + (byte >= 0xF0)
            longer = seen + bytes([byte])
            h += p[byte] * left(longer[max(len(longer) - model.order + 1, 0) :], more)  # all that the model sees
        return h

    return left(context, 0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_entropy_of_a_character_is_that_of_all_its_bytes(order: int) -> None:
    model = ByteNgram(order).fit(["नम é ñ a€b 😀".encode(), b"the \xe0 \x80\xbf\xe0", "नमस्ते é".encode()])
    found = NgramEntropy(model, "character")
    for context in (b"", "न".encode(), b"a", b"\xe0", b"\xff\xff"):
        assert found.entropy(context + b"x")[-1] == pytest.approx(character_entropy(model, context), abs=1e-9)


def test_on_ascii_a_character_is_a_byte() -> None:
    model = ByteNgram(4).fit([b"the cat sat on the mat"] * 9)
    byte, character = (NgramEntropy(model, unit).entropy(b"the mat sat") for unit in ("byte", "character"))
    assert (character >= byte).all() and (character - byte)[4:].max() < 0.25  # what it expects of bytes it never saw


def test_entropies_are_in_nats_between_none_and_the_alphabet() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 60_000).astype(np.uint8).tobytes()
    (h,) = NgramEntropy(ByteNgram(1).fit([noise])).entropy(b"x")
    assert math.log(256) - 0.01 < h <= math.log(257)
    sure = NgramEntropy(ByteNgram(4).fit([b"ab" * 4000])).entropy(b"ab" * 9)
    assert (sure[4:] < 0.01).all() and (sure >= 0).all()


def test_an_unfitted_model_has_no_entropies() -> None:
    with pytest.raises(ValueError, match="fit"):
        NgramEntropy(ByteNgram(3))
