"""Texts as bags of hashed byte n-grams: what the correction and the tree's codes read.

    rows of text i = { hash_n(the n bytes that end at t) : t in text i, n in orders }     R rows of a table

The hash is that of :func:`unmask.models.byte_ngrams.byte_ngrams`; no n-gram spans two texts, and one that would begin
before its text says so.

Letters: S texts, T bytes of all texts, N orders, R rows of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from unmask.models.byte_ngrams import byte_ngrams

ORDERS = (3, 4, 5, 6, 7, 8)
ROWS = 1 << 15


@dataclass(frozen=True)
class Bags:
    """Hashed n-grams of texts.

    Attributes:
        rows: Of all texts, one behind the other.
        starts: Where each text's begin, and where the last end.
        sizes: Bytes of each text.
    """

    rows: Int[Tensor, " T*N"]
    starts: Int[Tensor, " S+1"]
    sizes: Int[Tensor, " S"]

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, chosen: Int[Tensor, " s"]) -> Bags:
        """Return some of the texts, in the order asked for."""
        first, count = self.starts[chosen], self.starts[chosen + 1] - self.starts[chosen]
        ends = count.cumsum(0)
        places = torch.arange(int(count.sum())) + (first - ends + count).repeat_interleave(count)
        return Bags(self.rows[places], torch.cat([ends.new_zeros(1), ends]), self.sizes[chosen])


def bags(texts: Sequence[bytes], orders: Sequence[int] = ORDERS, rows: int = ROWS) -> Bags:
    """Return the hashed n-grams of texts.

    Args:
        texts: Any bytes; an empty text has an empty bag.
        orders: Lengths of the n-grams.
        rows: R.

    Raises:
        Error: impossible orders or rows.
    """
    sizes = torch.tensor([len(text) for text in texts], dtype=torch.int64)
    symbols = torch.from_numpy(np.frombuffer(b"".join(texts), np.uint8).astype(np.int64))
    owner = torch.arange(len(texts)).repeat_interleave(sizes)
    found = byte_ngrams(symbols[None], orders, rows, owner[None])[0]
    starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]) * len(orders)
    return Bags(found.flatten(), starts, sizes)
