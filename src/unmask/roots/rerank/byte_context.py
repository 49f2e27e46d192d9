"""What is known of the bytes of some texts: histogram, n-grams, and how surprising they were to a byte model.

    nats    = sum_t -ln P(b_t | b_<t)      of the bytes that came
    entropy = sum_t H(. | b_<t)            of the bytes that might have come: it does not know which one did

Their difference a byte, ``excess``, is near 0 for a text that the model might have written, above it for one that the
model does not know. All fields add up over texts: the context of a collection is the merge of its texts' contexts. No
n-gram spans two texts, so the halves of one text lack the n-grams at their border.

Given a context, the next byte is told by Witten-Bell on top of the model (see :mod:`unmask.data.ngram`):

    P(x | h, context) = (c(hx) + u(h) P(x | b_<t)) / (c(h) + u(h))

with h the last n - 1 bytes, c the context's counts, u(h) how many different bytes followed h in it: a cache (Kuhn & De
Mori 1990). It sums to 1, and without counts it is the model.

Letters: T bytes of a text, G distinct n-grams, H distinct h.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from unmask.data.ngram import ByteModel, find
from unmask.errors import Error

ORDER = 5
_BYTE = np.uint64(8)


@dataclass(frozen=True)
class ByteContext:
    """Statistics of the bytes of some texts.

    Attributes:
        order: n.
        texts: How many.
        histogram: Occurrences of each byte.
        grams: The distinct n-grams, 8 bits a byte, rising.
        counts: Of each n-gram.
        nats: Surprisal of all bytes under the model that measured it; the end of a text is not counted.
        entropy: Predictive entropy before all bytes, in nats.
    """

    order: int
    texts: int
    histogram: Int64[np.ndarray, " 256"]
    grams: UInt64[np.ndarray, " G"]
    counts: Int64[np.ndarray, " G"]
    nats: float
    entropy: float

    @property
    def size(self) -> int:
        """The number of bytes."""
        return int(self.histogram.sum())

    @property
    def surprisal(self) -> float:
        """Nats a byte; 0 where there is none."""
        return self.nats / max(self.size, 1)

    @property
    def excess(self) -> float:
        """Nats a byte beyond what the model expected before it saw the bytes."""
        return (self.nats - self.entropy) / max(self.size, 1)

    def given(self, text: bytes, model: ByteModel) -> Float64[np.ndarray, " T"]:
        """Return -ln P(b_t | h, this context) of each byte of a text; the first n - 1 bytes are the model's alone."""
        return self.given_known(pack(text, self.order), model.nats(text)[:-1])

    def given_known(
        self, grams: UInt64[np.ndarray, " T-n+1"], nats: Float64[np.ndarray, " T"]
    ) -> Float64[np.ndarray, " T"]:
        """Return the same for a text whose n-grams (:func:`pack`) and nats under the model are at hand."""
        found = nats.copy()
        if len(grams) and len(self.grams):
            place, here = find(self.grams, grams)
            count = np.where(here, self.counts[place], 0)
            heads, total, kinds = self._heads
            place, here = find(heads, grams >> _BYTE)
            total, kinds = total[place], kinds[place]
            mixed = -np.log((count + kinds * np.exp(-nats[self.order - 1 :])) / (total + kinds))
            found[self.order - 1 :] = np.where(here, mixed, found[self.order - 1 :])
        return found

    @cached_property
    def _heads(self) -> tuple[UInt64[np.ndarray, " H"], Int64[np.ndarray, " H"], Int64[np.ndarray, " H"]]:
        """Each h, c(h) and u(h)."""
        heads, first = np.unique(self.grams >> _BYTE, return_index=True)
        return heads, np.add.reduceat(self.counts, first), np.diff(np.append(first, len(self.grams)))


def counted(text: bytes, order: int = ORDER) -> ByteContext:
    """Return the context of one text that no model measured: all but ``nats`` and ``entropy``, which are 0."""
    grams, counts = np.unique(pack(text, order), return_counts=True)
    histogram = np.bincount(np.frombuffer(text, np.uint8), minlength=256)
    return ByteContext(order, 1, histogram, grams, counts, 0.0, 0.0)


def pack(text: bytes, order: int) -> UInt64[np.ndarray, " T-n+1"]:
    """Return the n-gram that begins at each byte, 8 bits a byte, the oldest highest.

    Raises:
        Error: an order outside 2..8.
    """
    if not 2 <= order <= 8:
        raise Error(f"n-grams of {order} bytes cannot be packed into 64 bits with their context; use 2 to 8.")
    wide = np.frombuffer(text, np.uint8).astype(np.uint64)
    count = max(len(wide) - order + 1, 0)
    packed = np.zeros(count, np.uint64)
    for place in range(order):
        packed = (packed << _BYTE) | wide[place : place + count]
    return packed
