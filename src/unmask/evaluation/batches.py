"""Windows as rows of tokens, in batches of like length: what every measure of held-out text feeds to a network.

A row is BOS, the window's tokens, and EOS where its document ends.

Letters: B batch, T tokens, W windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from unmask.data.batch import Batch
from unmask.errors import Error
from unmask.evaluation.windows import Encoder, Window


class Scorer(Encoder, Protocol):
    """What scoring needs of a tokenizer."""

    pad_id: int
    bos_id: int
    eos_id: int


def token_rows(
    windows: Sequence[Window], tokenizer: Scorer, context: int, window: int, *, end: bool = True
) -> list[list[int]]:
    """Return the token ids of each window, special tokens included.

    Args:
        windows: Pieces of documents.
        tokenizer: The model's tokenizer.
        context: Most tokens of a row.
        window: Bytes of a window, for the message.
        end: Whether a document's last window is followed by EOS.

    Raises:
        Error: there is no text, or a window does not fit the context.
    """
    if not sum(w.bytes for w in windows):
        raise Error("there is no text to score: every document is empty.")
    rows = []
    for piece, ids in zip(windows, tokenizer.encode_batch([w.text for w in windows]), strict=True):
        rows.append([tokenizer.bos_id, *ids, *([tokenizer.eos_id] if piece.last and end else [])])
    longest = max(map(len, rows))
    if longest > context:
        raise Error(
            f"a window of {window} bytes takes {longest} tokens, but the context is {context}; use a smaller window."
        )
    return rows


def batch_size_for(rows: Sequence[Sequence[int]], model: Any, logits: int = 1 << 25) -> int:
    """Return how many rows a batch may have so that its logits are at most ``logits`` numbers (128 MB in float32)."""
    return max(1, logits // (max(map(len, rows)) * int(model.config.vocab_size)))


def batches(rows: Sequence[list[int]], tokenizer: Scorer, size: int) -> Iterator[tuple[NDArray[np.intp], Batch]]:
    """Yield (numbers of the rows, batch), the longest rows first (so that a lack of memory shows at once).

    Args:
        rows: Token ids, BOS included.
        tokenizer: Gives the ids of padding and BOS.
        size: Rows of a batch (B).
    """
    by_length = np.argsort([-len(row) for row in rows], kind="stable")
    for start in range(0, len(rows), size):
        index = by_length[start : start + size]
        longest = len(rows[index[0]])
        tokens = torch.full((len(index), longest), tokenizer.pad_id, dtype=torch.int64)
        segments = torch.zeros_like(tokens)
        for place, row in enumerate(index):
            tokens[place, : len(rows[row])] = torch.tensor(rows[row])
            segments[place, : len(rows[row])] = 1
        yield index, Batch(tokens, segments, torch.from_numpy(index.astype(np.int64)), tokenizer.bos_id)
