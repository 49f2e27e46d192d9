"""The entropy of a byte n-gram model before each byte of a text: of the byte, or of the character that begins there.

Every entropy stands in a table (:mod:`unmask.data.ngram_tables`). A context that was not counted has the entropy of its
longest known suffix, as the model backs off to it; so does one whose older bytes are forgotten.

Letters: n bytes of a text, K contexts.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from unmask.data.ngram import BITS, BOS, SYMBOLS, ByteNgram, find
from unmask.data.ngram_tables import byte_tables, character_tables, low, orders

_GONE = (1 << BITS) - 1  # stands for a forgotten byte; no counted gram holds it


class NgramEntropy:
    """The entropies of a fitted n-gram model (a :class:`~unmask.data.entropy.ByteEntropy`).

    Args:
        model: A fitted model; its 257 symbols are the bytes and end-of-text.
        unit: What is uncertain: the next byte, or all bytes of the character that it begins. The latter says nothing
            inside a character.
    """

    def __init__(self, model: ByteNgram, unit: Literal["byte", "character"] = "byte") -> None:
        self.model, self.unit = model, unit
        interpolation = orders(model.levels)
        self._tables = byte_tables(interpolation)
        if unit == "character":
            self._tables = character_tables(interpolation, self._tables)

    def entropy(self, data: bytes, since: Int64[np.ndarray, " n"] | None = None) -> Float64[np.ndarray, " n"]:
        """Return the entropy before each byte, in nats; see :class:`~unmask.data.entropy.ByteEntropy`."""
        contexts, back = np.unique(_contexts(data, self.model.order - 1, since), return_inverse=True)
        return self.of(contexts)[back]

    def of(self, contexts: UInt64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
        """Return the entropy after packed contexts of ``order - 1`` symbols."""
        h = np.full(len(contexts), math.log(SYMBOLS))
        for k, (level, table) in enumerate(zip(self.model.levels, self._tables, strict=True)):
            place, known = find(level.contexts, contexts & low(k))
            h = np.where(known, table[place], h)
        return h

    def stream(self) -> NgramStream:
        """Return a stream at the beginning of a text."""
        return NgramStream(self)


class NgramStream:
    """The entropies of a text that comes byte by byte (an :class:`~unmask.data.entropy.EntropyStream`)."""

    def __init__(self, source: NgramEntropy) -> None:
        self._source = source
        self._symbols = source.model.order - 1
        self._context = _repeat(BOS, self._symbols)
        self._read = 0
        self._known: dict[int, float] = {}

    @property
    def value(self) -> float:
        """H of the byte to come, in nats."""
        if self._context not in self._known:
            self._known[self._context] = float(self._source.of(np.array([self._context], np.uint64))[0])
        return self._known[self._context]

    def push(self, byte: int) -> None:
        """Read one byte."""
        self._context = ((self._context << BITS) | byte) & int(low(self._symbols))
        self._read += 1

    def forget(self, keep: int) -> None:
        """From here on, see only the last ``keep`` bytes that were read; no change where these are the whole text."""
        if keep < min(self._read, self._symbols):
            gone = _repeat(_GONE, self._symbols - keep) << (BITS * keep)
            self._context = gone | self._context & int(low(keep))


def _contexts(data: bytes, symbols: int, since: Int64[np.ndarray, " n"] | None) -> UInt64[np.ndarray, " n"]:
    """Return the packed context of ``symbols`` symbols before each byte."""
    n = len(data)
    wide = np.full(symbols + n, BOS, np.uint64)
    wide[symbols:] = np.frombuffer(data, np.uint8)
    packed = np.zeros(n, np.uint64)
    for back in range(1, symbols + 1):
        seen = wide[symbols - back : symbols - back + n]
        if since is not None:
            seen = np.where((since > 0) & (np.arange(n) - since < back), np.uint64(_GONE), seen)
        packed |= seen << np.uint64(BITS * (back - 1))
    return packed


def _repeat(symbol: int, times: int) -> int:
    packed = 0
    for _ in range(times):
        packed = (packed << BITS) | symbol
    return packed
