"""Byte statistics of a shelf: how often each byte occurs in its texts, and at most and at least how often in one text.

    counts_kb = sum over texts i of shelf k of n_ib        most_kb = max_i n_ib        least_kb = min_i n_ib

with n_ib the number of bytes b in text i. Shelves merge exactly: counts add, most by max, least by min. Two exact
bounds follow. A pattern that has byte b more than most_kb times is in no text of shelf k. An edit (insertion, deletion,
substitution of one byte) raises at most one n_b by 1 and lowers at most one by 1, so a text of the shelf is at least
max(sum_b max(0, q_b - most_kb), sum_b max(0, least_kb - q_b)) edits away from a text with counts q.

The unigram histogram is what the original ROOTS keeps for each partition.

Letters: N texts, K shelves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8, UInt16

MOST = 65_535  # most and least are cut here: "this often or more", which keeps both bounds true
_BATCH = 1 << 20  # bytes counted at once


@dataclass(frozen=True)
class ShelfBytes:
    """What is known of the bytes of K shelves.

    Attributes:
        counts: Occurrences of each byte in the shelf's texts.
        most: Most occurrences in one text; 0 in an empty shelf.
        least: Fewest occurrences in one text; :data:`MOST` in an empty shelf.
    """

    counts: Int[np.ndarray, "K 256"]
    most: UInt16[np.ndarray, "K 256"]
    least: UInt16[np.ndarray, "K 256"]

    @classmethod
    def empty(cls, shelves: int) -> ShelfBytes:
        """Return the statistics of shelves without texts: what merging leaves unchanged."""
        shape = (shelves, 256)
        return cls(np.zeros(shape, np.int64), np.zeros(shape, np.uint16), np.full(shape, MOST, np.uint16))

    @property
    def shares(self) -> Float[np.ndarray, "K 256"]:
        """The unigram distribution of each shelf; zeros where it is empty."""
        found: Float[np.ndarray, "K 256"] = self.counts / np.maximum(self.counts.sum(1, keepdims=True), 1)
        return found

    @property
    def presence(self) -> UInt8[np.ndarray, "K 32"]:
        """One bit for each byte: does it occur in the shelf?"""
        return np.packbits(self.counts > 0, axis=1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, for a file."""
        return {"counts": self.counts, "most": self.most, "least": self.least}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> ShelfBytes:
        """Return what :meth:`to_arrays` gave."""
        return cls(*(np.asarray(arrays[name]) for name in ("counts", "most", "least")))


def measure(texts: Sequence[bytes], labels: Int[np.ndarray, " N"], shelves: int) -> ShelfBytes:
    """Return the statistics of texts on shelves.

    Args:
        texts: Texts as bytes.
        labels: The shelf of each.
        shelves: K.
    """
    found = ShelfBytes.empty(shelves)
    start = 0
    while start < len(texts):
        end, size = start, 0
        while end < len(texts) and (end == start or size + len(texts[end]) <= _BATCH) and end - start < 4096:
            size += len(texts[end])
            end += 1
        _take(found, histograms(texts[start:end]), np.asarray(labels[start:end]))
        start = end
    return found


def merge(a: ShelfBytes, b: ShelfBytes) -> ShelfBytes:
    """Return the statistics of both sets of texts together, exactly."""
    return ShelfBytes(a.counts + b.counts, np.maximum(a.most, b.most), np.minimum(a.least, b.least))


def histograms(texts: Sequence[bytes]) -> Int[np.ndarray, "N 256"]:
    """Return how often each text has each byte."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    codes = np.repeat(np.arange(len(texts)) * 256, lengths) + np.frombuffer(b"".join(texts), np.uint8)
    return np.bincount(codes, minlength=256 * len(texts)).reshape(len(texts), 256)


def may_hold(most: UInt16[np.ndarray, "K 256"], pattern: bytes) -> Bool[np.ndarray, " K"]:
    """Return which shelves may hold a text with ``pattern`` in it, as far as byte counts tell; never misses one."""
    (wanted,) = np.minimum(histograms([pattern]), MOST)
    used = np.flatnonzero(wanted)
    found: Bool[np.ndarray, " K"] = (most[:, used] >= wanted[used]).all(1)
    return found


def _take(found: ShelfBytes, counts: Int[np.ndarray, "N 256"], labels: Int[np.ndarray, " N"]) -> None:
    """Add texts' histograms to the statistics in place."""
    order = np.argsort(labels, kind="stable")
    counts, labels = counts[order], labels[order]
    first = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    shelf, cut = labels[first], np.minimum(counts, MOST).astype(np.uint16)
    found.counts[shelf] += np.add.reduceat(counts, first)
    found.most[shelf] = np.maximum(found.most[shelf], np.maximum.reduceat(cut, first))
    found.least[shelf] = np.minimum(found.least[shelf], np.minimum.reduceat(cut, first))
