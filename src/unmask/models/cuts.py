"""Where the patches of a batch of bytes lie: from token ids and a patcher, for networks that read patches.

A document's piece begins with BOS, which is a patch of its own: what every network makes of it is the same for all
texts, so it is the learned start that the first bytes are predicted from. What is no byte (end-of-text, mask) counts as
byte 0 for the patcher; padding behind a piece is a patch that nobody sees.

    patch[t]  the patch of position t, counted from 0 in each row
    done[t]   how many patches are finished once t has been read: the number of the patch of t + 1

Both read bytes up to t alone, whether position t + 1 begins a patch being known before it is read.

Letters: B batch, T positions, P patches of the row that has most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.data.patches import Patcher


@dataclass(frozen=True)
class Cuts:
    """The patches of a batch.

    Attributes:
        patch: Number of each position's patch in its row.
        done: Patches of the row that are finished after each position.
        count: Patches in the row that has most (P).
        piece: Document piece of each patch, -1 where there is none, or padding alone.
    """

    patch: Int[Tensor, "B T"]
    done: Int[Tensor, "B T"]
    count: int
    piece: Int[Tensor, "B P"]

    @property
    def valid(self) -> Bool[Tensor, "B P"]:
        """True where there is a patch."""
        return self.piece >= 0


def cut(
    patcher: Patcher,
    tokens: Int[Tensor, "B T"],
    pieces: Int[Tensor, "B T"],
    specials: int,
) -> Cuts:
    """Cut a batch.

    Args:
        patcher: A fitted patcher.
        tokens: Token ids.
        pieces: Number of each position's document piece, -1 at padding, which only follows a piece.
        specials: Ids before those of the bytes.
    """
    ids, owner = tokens.cpu().numpy(), pieces.cpu().numpy()
    batch, length = ids.shape
    values = np.where(ids >= specials, ids - specials, 0).astype(np.uint8)
    starts = np.ones((batch, length), bool)
    next_starts = np.ones((batch, length), bool)  # whether the position behind each one begins a patch
    edges = np.ones((batch, length + 1), bool)
    edges[:, 1:-1] = owner[:, 1:] != owner[:, :-1]
    for row in range(batch):
        borders = np.flatnonzero(edges[row])
        for first, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            if owner[row, first] < 0:
                starts[row, first + 1 : end] = False
                continue
            body = first + int(ids[row, first] < specials)  # behind BOS
            found = patcher.starts(values[row, body:end].tobytes() + b"\0")
            starts[row, body:end] = found[:-1]
            next_starts[row, end - 1] = found[-1]
    next_starts[:, :-1] = np.where(edges[:, 1:-1], next_starts[:, :-1], starts[:, 1:])
    patch = starts.cumsum(1) - 1
    count = int(patch.max()) + 1
    piece = np.full((batch, count), -1)
    np.put_along_axis(piece, patch, owner, 1)  # all positions of a patch have one owner
    device = tokens.device
    numbers = (torch.from_numpy(part).to(device) for part in (patch, patch + next_starts))
    return Cuts(*numbers, count, torch.from_numpy(piece).to(device))
