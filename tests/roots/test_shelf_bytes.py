"""What a shelf says of its bytes is true of every text on it, and shelves add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.errors import Error
from unmask.roots.shelves import grams, shelf_bytes
from unmask.roots.shelves.shelf_bytes import ShelfBytes

SHELVES = 3
TEXTS = st.lists(
    st.tuples(st.binary(max_size=30) | st.text(max_size=12).map(str.encode), st.integers(0, 2)), max_size=12
)


def split(found):
    return [text for text, _ in found], np.array([shelf for _, shelf in found], np.int64)


def equal(a: ShelfBytes, b: ShelfBytes) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.to_arrays().values(), b.to_arrays().values(), strict=True))


def edits(a: bytes, b: bytes) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@settings(deadline=None)
@given(TEXTS)
def test_counts_most_and_least_are_those_of_the_texts(found):
    texts, labels = split(found)
    kept = shelf_bytes.measure(texts, labels, SHELVES)
    for shelf in range(SHELVES):
        own = [np.bincount(np.frombuffer(text, np.uint8), minlength=256) for text, at in found if at == shelf]
        assert np.array_equal(kept.counts[shelf], np.sum([np.zeros(256, int), *own], 0))
        assert np.array_equal(kept.most[shelf], np.max([np.zeros(256, int), *own], 0))
        assert np.array_equal(kept.least[shelf], np.min([np.full(256, shelf_bytes.MOST), *own], 0))
        assert np.array_equal(np.unpackbits(kept.presence[shelf]).astype(bool), kept.counts[shelf] > 0)
        assert kept.shares[shelf].sum() == pytest.approx(1 if any(map(len, own)) and kept.counts[shelf].any() else 0)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_two_halves_add_up_to_the_whole(a, b):
    halves = [shelf_bytes.measure(*split(part), SHELVES) for part in (a, b)]
    assert equal(shelf_bytes.merge(*halves), shelf_bytes.measure(*split(a + b), SHELVES))
    assert equal(shelf_bytes.merge(halves[0], ShelfBytes.empty(SHELVES)), halves[0])
    for size in grams.SIZES:
        parts, whole = grams.empty(SHELVES), grams.empty(SHELVES)
        grams.take(parts, *split(a), size)
        grams.take(parts, *split(b), size)
        grams.take(whole, *split(a + b), size)
        assert np.array_equal(parts, whole)


@settings(deadline=None)
@given(TEXTS, st.data())
def test_a_shelf_that_holds_a_pattern_is_never_ruled_out(found, data):
    texts, labels = split(found)
    kept = shelf_bytes.measure(texts, labels, SHELVES)
    pattern = data.draw(st.binary(min_size=1, max_size=4))
    if texts:
        inside = data.draw(st.sampled_from(texts))
        start, end = sorted(data.draw(st.tuples(st.integers(0, len(inside)), st.integers(0, len(inside)))))
        pattern = inside[start:end] or pattern
    holds = np.array([any(pattern in text for text, at in found if at == shelf) for shelf in range(SHELVES)])
    assert (shelf_bytes.may_hold(kept.most, pattern) | ~holds).all()
    for size in grams.SIZES:
        bitmaps = grams.empty(SHELVES)
        grams.take(bitmaps, texts, labels, size)
        assert (grams.may_hold(bitmaps, pattern, size) | ~holds).all()


def test_the_bounds_are_sharp_where_bytes_decide():
    kept = shelf_bytes.measure([b"aab", b"ab"], np.array([0, 0]), 2)
    patterns = (b"aa", b"aaa", b"c", b"bb")
    assert [bool(shelf_bytes.may_hold(kept.most, pattern)[0]) for pattern in patterns] == [True, False, False, False]
    bitmaps = grams.empty(1)
    grams.take(bitmaps, [b"ab", b"cd"], np.array([0, 0]), 2)
    assert [bool(grams.may_hold(bitmaps, p, 2)[0]) for p in (b"ab", b"bc", b"ba", b"c")] == [True, False, False, True]


def test_counts_beyond_sixteen_bits_stay_true():
    text = b"a" * 70_000
    kept = shelf_bytes.measure([text], np.array([0]), 1)
    assert kept.counts[0, 97] == 70_000 and kept.most[0, 97] == shelf_bytes.MOST
    assert shelf_bytes.may_hold(kept.most, text)[0] and not shelf_bytes.may_hold(kept.most, b"b")[0]


def test_a_size_without_bitmap_is_refused():
    with pytest.raises(Error, match="grams is 5; choose 2, 3, 4"):
        grams.check_size(5)
