"""Which documents of an index are copies of a text in part or in whole, whatever has been changed, cut or put around.

A *mark* is a hash of W = 6 words in a row; a quarter of all marks is kept, chosen by the hash itself, so that both
sides keep the same (Broder 1997, "On the resemblance and containment of documents"). With A and D the marks of a text
and of a document, the document is a copy if

    |A n D| >= 2   and   |A n D| >= share * min(|A|, |D|)

Words, not meanings: texts on one topic are no copies of each other, however near their vectors are. So leaving copies
out tells nothing of a text that has none.

Letters: n words, m marks, N marks of the index, D documents.
"""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import Int64, UInt64

from unmask.roots.index import Index

WORDS = 6
SHARE = 0.2
_KEPT = 4  # one mark of so many
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def marks(text: bytes) -> UInt64[np.ndarray, " m"]:
    """Return the marks of a text that are kept, each once, in order."""
    words = np.fromiter(map(zlib.crc32, text.lower().split()), np.uint64)
    count = len(words) - WORDS + 1
    if count < 1:
        return np.zeros(0, np.uint64)
    found = np.zeros(count, np.uint64)
    for place in range(WORDS):  # a polynomial modulo 2^64, then its bits mixed
        found = found * _FACTOR + words[place : place + count]
    found = (found ^ (found >> np.uint64(29))) * _FACTOR
    found ^= found >> np.uint64(32)
    return np.unique(found[found % np.uint64(_KEPT) == 0])


class Copies:
    """The marks of an index's documents.

    Args:
        index: The index; all its texts are read once.
    """

    def __init__(self, index: Index) -> None:
        parts: list[UInt64[np.ndarray, " m"]] = [np.zeros(0, np.uint64)]
        owner: list[Int64[np.ndarray, " m"]] = [np.zeros(0, np.int64)]
        for segment, first in zip(index.segments, index.firsts, strict=True):
            for rows, texts in segment.batches():
                for row, text in enumerate(texts, rows.start):
                    parts.append(marks(text))
                    owner.append(np.full(len(parts[-1]), first + int(segment.document[row])))
        pairs = np.concatenate(parts), np.concatenate(owner)
        order = np.lexsort(pairs[::-1])
        self._marks, self._owner = pairs[0][order], pairs[1][order]
        self._sizes = np.bincount(self._owner, minlength=1)

    def of(self, text: bytes) -> frozenset[int]:
        """Return the numbers of the documents that are copies of a text."""
        mine = marks(text)
        first, last = (np.searchsorted(self._marks, mine, side) for side in ("left", "right"))
        held = [self._owner[a:b] for a, b in zip(first, last, strict=True) if b > a]
        shared = np.concatenate(held or [self._owner[:0]])
        documents, counts = np.unique(shared, return_counts=True)
        least = np.maximum(2, SHARE * np.minimum(len(mine), self._sizes[documents]))
        return frozenset(documents[counts >= least].tolist())
