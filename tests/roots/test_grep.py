"""Substring search finds every text that holds the pattern, and says what it did not have to read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.errors import Error
from unmask.roots.shelves import grams, shelf_bytes
from unmask.roots.shelves.grep import Signs, grep
from unmask.roots.shelves.segment import Segment
from unmask.roots.shelves.vectors import Vectors

SHELVES = 3
BITS = st.text("ab", max_size=6).map(str.encode) | st.text(max_size=4).map(str.encode) | st.binary(max_size=5)
SHELF = st.lists(BITS, max_size=4)


def segment(shelves: list[list[bytes]]) -> Segment:
    texts = [text for shelf in shelves for text in shelf]
    count = len(texts)
    none = np.zeros(count, np.float32)
    return Segment(
        Vectors(np.zeros((count, 1), np.float32), none),
        none,
        np.arange(count, dtype=np.int32),
        np.zeros(count, np.int32),
        none.astype(np.uint64),
        np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64),
        np.concatenate([[0], np.cumsum([len(shelf) for shelf in shelves])]).astype(np.int64),
        b"".join(texts),
    )


def signs(segments: list[list[list[bytes]]], size: int) -> Signs:
    placed = [(text, at) for shelves in segments for at, shelf in enumerate(shelves) for text in shelf]
    texts, labels = [text for text, _ in placed], np.array([at for _, at in placed], np.int64)
    bitmaps = grams.empty(SHELVES) if size else None
    if bitmaps is not None:
        grams.take(bitmaps, texts, labels, size)
    return Signs(shelf_bytes.measure(texts, labels, SHELVES).most, bitmaps, size)


def counted(text: bytes, pattern: bytes) -> int:
    return sum(text.startswith(pattern, at) for at in range(len(text)))


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.lists(SHELF, min_size=SHELVES, max_size=SHELVES), min_size=1, max_size=2),
    st.binary(min_size=1, max_size=3) | st.text("ab", min_size=1, max_size=4).map(str.encode),
    st.sampled_from([0, *grams.SIZES]),
)
def test_no_text_is_missed_and_none_is_made_up(segments, pattern, size):
    opened = [segment(shelves) for shelves in segments]
    found = grep(opened, signs(segments, size), pattern)
    for number, (shelves, own) in enumerate(zip(segments, opened, strict=True)):
        texts = [(text, at) for at, shelf in enumerate(shelves) for text in shelf]
        wanted = {
            row: (at, text.find(pattern), counted(text, pattern))
            for row, (text, at) in enumerate(texts)
            if pattern in text
        }
        assert {m.row: (m.shelf, m.offset, m.count) for m in found.matches if m.segment == number} == wanted
        assert len(own) == len(texts)


def test_a_match_across_two_texts_is_none():
    texts = [[b"xa", b"bx"], [], []]
    assert grep([segment(texts)], signs([texts], 0), b"ab").matches == []


def test_shelves_without_the_patterns_bytes_are_not_read():
    texts = [[b"the cat sat"], [b"the dog ate"], [b"cacti"]]
    found = grep([segment(texts)], signs([texts], 3), b"cat")
    assert found.opened == [0] and found.bytes_read == 11 and found.bytes_held == 27
    assert grep([segment(texts)], signs([texts], 3), b"zebra").opened == []
    assert grep([segment(texts)], signs([texts], 0), b"cat").opened == [0, 2]  # by counts alone "cacti" may hold it
    assert grep([segment(texts)], signs([texts], 0), b"catttt").opened == []


def test_an_empty_pattern_is_refused():
    with pytest.raises(Error, match="the pattern is empty"):
        grep([], signs([], 2), b"")
