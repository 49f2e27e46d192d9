"""Which byte n-grams occur on a shelf: a bitmap of 65,536 bits (8 KB) for each, merged by OR.

A bigram is its own bit, so for n = 2 the bitmap is exact. Three or four bytes are hashed to 16 bits (the high bits of a
product by an odd constant: Knuth, TAOCP 6.4), a Bloom filter with one hash function (Bloom 1970). Either way every
n-gram that occurs has its bit set, so a pattern with an n-gram whose bit is not set is in no text of the shelf.

Letters: N texts, K shelves, m bytes of a pattern.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, UInt8

from unmask.errors import Error

WIDTH = 8192  # bytes of a bitmap
SIZES = (2, 3, 4)
_ODD = np.uint32(2_654_435_761)


def check_size(size: int) -> None:
    """Refuse n-grams that there is no bitmap for.

    Raises:
        Error: a size that is not in :data:`SIZES`.
    """
    if size not in SIZES:
        raise Error(f"grams is {size}; choose {', '.join(map(str, SIZES))}, or 0 for an index without bitmaps.")


def empty(shelves: int) -> UInt8[np.ndarray, "K 8192"]:
    """Return the bitmaps of shelves without texts."""
    return np.zeros((shelves, WIDTH), np.uint8)


def take(
    bitmaps: UInt8[np.ndarray, "K 8192"], texts: Sequence[bytes], labels: Int[np.ndarray, " N"], size: int
) -> None:
    """Set the bits of the texts' n-grams in place.

    Args:
        bitmaps: Of all shelves.
        texts: Texts as bytes; no n-gram spans two of them.
        labels: The shelf of each.
        size: n, one of :data:`SIZES`.
    """
    labels = np.asarray(labels)
    seen = np.zeros(8 * WIDTH, bool)
    for shelf in np.unique(labels).tolist():
        own = [texts[row] for row in np.flatnonzero(labels == shelf).tolist()]
        lengths = np.fromiter(map(len, own), np.int64, len(own))
        joined = np.frombuffer(b"".join(own), np.uint8)
        if len(joined) < size:
            continue
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(joined))  # bytes up to the text's end
        seen[_codes(joined, size)[left[: len(joined) - size + 1] >= size]] = True
        bitmaps[shelf] |= np.packbits(seen)
        seen[:] = False


def may_hold(bitmaps: UInt8[np.ndarray, "K 8192"], pattern: bytes, size: int) -> Bool[np.ndarray, " K"]:
    """Return which shelves may hold a text with ``pattern`` in it; never misses one.

    A pattern shorter than n says nothing: every shelf may hold it.
    """
    if len(pattern) < size:
        return np.ones(len(bitmaps), bool)
    codes = np.unique(_codes(np.frombuffer(pattern, np.uint8), size))
    set_bits = bitmaps[:, codes >> 3] & (128 >> (codes & 7)).astype(np.uint8)
    found: Bool[np.ndarray, " K"] = (set_bits != 0).all(1)
    return found


def _codes(text: UInt8[np.ndarray, " m"], size: int) -> Int[np.ndarray, " m-n+1"]:
    """Return the 16-bit code of the n-gram that begins at each byte."""
    count = len(text) - size + 1
    packed = np.zeros(count, np.uint32)
    for place in range(size):
        packed = (packed << np.uint32(8)) | text[place : place + count]
    return (packed if size == 2 else (packed * _ODD) >> np.uint32(16)).astype(np.int64)
