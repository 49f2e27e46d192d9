"""Byte n-gram language models with Witten-Bell interpolation: the control that every learned byte model has to beat.

    P_0(x)   = 1 / 257
    P_k(x|h) = (c(hx) + u(h) P_{k-1}(x|h')) / (c(h) + u(h)),  P_k = P_{k-1} where c(h) = 0

h is the last k-1 symbols, h' drops its oldest one, c counts, u(h) is how many different symbols followed h
(Witten & Bell 1991, "The zero-frequency problem", method C; interpolated as in Chen & Goodman 1998). There are 257
symbols, the bytes and end-of-text, so that the probabilities of all texts sum to 1; before its first byte a text has
only BOS behind it.

Letters: n bytes of a text, K distinct grams, S texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unmask.errors import Error

SYMBOLS = 257
END = 256
BOS = 257
BITS = 9  # of a symbol in a packed gram
_CHUNK = 1 << 22  # symbols counted at once

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


class ByteModel(Protocol):
    """Anything that gives each byte of a text, and its end, a probability."""

    def nats(self, text: bytes) -> Reals:
        """Return -ln P of each byte given those before it, and of end-of-text: shape [n + 1]."""
        ...


@dataclass(frozen=True)
class Level:
    """The counts of one order.

    Attributes:
        grams: Packed grams, ``BITS`` a symbol, sorted: by context, then by symbol.
        counts: c(hx) of each gram.
        upto: Counts of all grams before this one.
        contexts: Packed contexts, sorted.
        first: A context's first gram.
        total: c(h) of each context.
        kinds: u(h) of each context.
    """

    grams: Keys
    counts: Counts
    upto: Counts
    contexts: Keys
    first: Counts
    total: Counts
    kinds: Counts


@dataclass
class ByteNgram:
    """An interpolated Witten-Bell n-gram model over bytes and end-of-text.

    Args:
        order: Longest gram in symbols, 1 (unigram) to 7.

    Raises:
        Error: an order outside 1..7.
    """

    order: int = 5
    _levels: list[Level] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 7:
            raise Error(f"an n-gram of order {self.order} cannot be packed into 64 bits; use an order from 1 to 7.")

    def fit(self, texts: Iterable[bytes]) -> ByteNgram:
        """Count texts (replacing what was counted before) and return the model itself.

        The texts are read as a stream; memory grows with the number of distinct grams, not with the text.

        Raises:
            Error: there was no text at all.
        """
        keys, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
        for symbols in _chunks(texts, self.order - 1):
            grams = _grams(symbols, self.order)
            more, seen = _tally(np.sort(grams[grams & np.uint64(511) != BOS]), None)
            both = np.concatenate([keys, more])
            place = np.argsort(both, kind="stable")
            keys, counts = _tally(both[place], np.concatenate([counts, seen])[place])
        if not len(keys):
            raise Error("an n-gram model needs at least one text to count; the split is empty.")
        return self.count(keys, counts)

    def count(self, grams: Keys, counts: Counts) -> ByteNgram:
        """Take the counts of the longest grams instead of texts (see ``levels[-1]``) and return the model itself."""
        self._levels = []
        for k in range(1, self.order + 1):  # every position ends one gram of each order: suffixes of the longest one
            low = grams & np.uint64((1 << (BITS * k)) - 1)
            place = np.argsort(low, kind="stable")
            self._levels.append(_level(*_tally(low[place], counts[place])))
        return self

    @property
    def levels(self) -> list[Level]:
        """The counts of orders 1, 2, ..., ``order``."""
        if not self._levels:
            raise ValueError("fit the n-gram model first")
        return self._levels

    def nats(self, text: bytes) -> Reals:
        """Return -ln P of each byte given those before it, and of end-of-text: shape [n + 1]."""
        grams = _grams(_symbols(text, self.order - 1), self.order)[self.order - 1 :]
        return -np.log(self._probability(grams))

    def distribution(self, context: bytes, *, start: bool = True) -> Reals:
        """Return the probability of each of the 257 next symbols after ``context``.

        Args:
            context: What came before; only its last ``order - 1`` bytes matter.
            start: Whether ``context`` begins the text (then BOS stands before it). If not, it must have
                ``order - 1`` bytes.
        """
        if not start and len(context) < self.order - 1:
            raise ValueError(f"a context from inside a text needs {self.order - 1} bytes")
        tail = _symbols(context, self.order - 1)[:-1].astype(np.uint64)[len(context) :]
        packed = np.uint64(0)
        for symbol in tail:
            packed = (packed << np.uint64(BITS)) | symbol
        return self._probability((packed << np.uint64(BITS)) | np.arange(SYMBOLS, dtype=np.uint64))

    def sample(self, texts: int, length: int, seed: int = 0, after: Sequence[bytes] = ()) -> list[bytes]:
        """Draw texts from the model; each ends at its end-of-text or after ``length`` bytes.

        ``after`` are the beginnings that they go on from, one a text; without, they begin.

        A draw walks down the interpolation: at order k it takes the counts' own distribution with probability
        c(h) / (c(h) + u(h)), else asks order k-1.
        """
        rng = np.random.default_rng(seed)
        tail = np.full((texts, self.order - 1), BOS, np.uint64)
        for row, given in enumerate(after):
            seen = np.frombuffer(given, np.uint8)[len(given) - min(len(given), self.order - 1) :]
            tail[row, self.order - 1 - len(seen) :] = seen
        out = np.full((texts, length), END, np.int64)
        alive = np.arange(texts)
        for place in range(length):
            drawn = self._draw(tail[alive], rng)
            out[alive, place] = drawn
            if self.order > 1:
                tail[alive] = np.concatenate([tail[alive][:, 1:], drawn[:, None].astype(np.uint64)], axis=1)
            alive = alive[drawn != END]
            if not len(alive):
                break
        return [row[: int(np.argmax(row == END)) if END in row else length].astype(np.uint8).tobytes() for row in out]

    def _draw(self, tail: Keys, rng: np.random.Generator) -> Counts:
        drawn = rng.integers(0, SYMBOLS, len(tail))  # order 0
        left = np.ones(len(tail), bool)
        for k in range(self.order, 0, -1):
            level = self._levels[k - 1]
            context = np.zeros(len(tail), np.uint64)
            for column in range(self.order - k, self.order - 1):
                context = (context << np.uint64(BITS)) | tail[:, column]
            place, known = find(level.contexts, context)
            total, kinds = level.total[place], level.kinds[place]
            take = left & known & (rng.random(len(tail)) * (total + kinds) < total)
            ticket = level.upto[level.first[place]] + (rng.random(len(tail)) * total).astype(np.int64)
            gram = np.searchsorted(level.upto, ticket, side="right") - 1
            drawn = np.where(take, (level.grams[gram] & np.uint64(511)).astype(np.int64), drawn)
            left &= ~take
        return drawn

    def _probability(self, grams: Keys) -> Reals:
        p = np.full(len(grams), 1.0 / SYMBOLS)
        for k, level in enumerate(self.levels, start=1):
            gram = grams & np.uint64((1 << (BITS * k)) - 1)
            place, known = find(level.grams, gram)
            count = np.where(known, level.counts[place], 0)
            home, seen = find(level.contexts, gram >> np.uint64(BITS))
            kinds, total = level.kinds[home], level.total[home]
            p = np.where(seen, (count + kinds * p) / (total + kinds), p)
        return p


def _symbols(text: bytes, pad: int) -> NDArray[np.uint16]:
    """Return BOS ``pad`` times, the bytes, end-of-text."""
    out = np.full(pad + len(text) + 1, BOS, np.uint16)
    out[pad:-1] = np.frombuffer(text, np.uint8)
    out[-1] = END
    return out


def _chunks(texts: Iterable[bytes], pad: int) -> Iterator[NDArray[np.uint16]]:
    held: list[NDArray[np.uint16]] = []
    size = 0
    for text in texts:
        held.append(_symbols(text, pad))
        size += len(held[-1])
        if size >= _CHUNK:
            yield np.concatenate(held)
            held, size = [], 0
    if held:
        yield np.concatenate(held)


def _grams(symbols: NDArray[np.uint16], order: int) -> Keys:
    """Return, for each place, the packed gram of ``order`` symbols that ends there (the first ones are cut short)."""
    wide = symbols.astype(np.uint64)
    packed = wide.copy()
    for back in range(1, order):
        packed[back:] |= wide[:-back] << np.uint64(BITS * back)
    return packed


def _tally(keys: Keys, counts: Counts | None) -> tuple[Keys, Counts]:
    """Sum the counts (1 each if ``None``) of equal neighbours."""
    if not len(keys):
        return keys, np.empty(0, np.int64)
    edge = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    if counts is None:
        return keys[edge], np.diff(np.append(edge, len(keys)))
    return keys[edge], np.add.reduceat(counts, edge)


def _level(grams: Keys, counts: Counts) -> Level:
    contexts = grams >> np.uint64(BITS)
    first = np.flatnonzero(np.concatenate([[True], contexts[1:] != contexts[:-1]]))
    kinds = np.diff(np.append(first, len(grams)))
    upto = np.cumsum(counts) - counts
    return Level(grams, counts, upto, contexts[first], first, np.add.reduceat(counts, first), kinds)


def find(table: Keys, wanted: Keys) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return each wanted key's place in the sorted table, and whether it is there."""
    place = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return place, table[place] == wanted
