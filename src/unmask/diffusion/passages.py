"""Blocks cut into passages of one length: what a network with thoughts sees at a time.

A passage is BOS and then ``size`` tokens of the block, so that no token is predicted without one before it; where the
tokens begin with a BOS of their own, the place before it is padding. What lies behind the block's end is padding, too.

Letters: B batch, L tokens of a block, S passages of a block, T = size + 1 tokens of a passage.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.data.batch import Batch
from unmask.diffusion.thought import Reading


@dataclass(frozen=True)
class Passages:
    """The passages of a batch.

    Attributes:
        batch: Each passage as a row of its own, [B*S, T]; its order is unique in the run.
        count: S.
        follows: Whether a passage begins with the document of the one before it.
        first: Document piece that a passage's first token belongs to; 0 for padding.
        last: Document piece that its last token belongs to, padding aside: the one that may go on.
    """

    batch: Batch
    count: int
    follows: Bool[Tensor, "B S"]
    first: Int[Tensor, "B S"]
    last: Int[Tensor, "B S"]

    @property
    def reading(self) -> Reading:
        """What is read of each passage: the document that may go on in the next one."""
        shape = (*self.follows.shape, -1)
        segments = self.batch.segments.view(shape)
        own = (segments == self.last[..., None]) & (segments > 0)
        return Reading(self.batch.tokens.view(shape), own, self.through)

    @property
    def through(self) -> Bool[Tensor, "B S"]:
        """Whether a passage belongs as a whole to the document of the one before it."""
        return self.follows & (self.first == self.last)

    def spread(self, mask: Bool[Tensor, "B L"]) -> Bool[Tensor, "B*S T"]:
        """Return a mask of the block's positions as one of the passages'."""
        size = self.batch.tokens.shape[1] - 1
        cut = pad(mask, (0, self.count * size - mask.shape[1])).view(-1, size)
        return pad(cut, (1, 0))


def passages(batch: Batch, size: int) -> Passages:
    """Cut a batch.

    Args:
        batch: Blocks [B, L].
        size: Tokens of a passage, without the BOS before them.
    """
    rows, length = batch.tokens.shape
    count = -(-length // size)
    missing = count * size - length
    tokens = pad(batch.tokens, (0, missing), value=batch.bos).view(rows, count, size)
    segments = pad(batch.segments, (0, missing)).view(rows, count, size)
    first, last = segments[..., 0], segments.amax(-1)  # pieces are numbered in order; padding is 0
    inside = (first > 0) & (tokens[..., 0] != batch.bos)
    follows = inside & (first == torch.roll(last, 1, 1))
    follows[:, 0] = False
    before = torch.where(inside, first, 0)
    place = torch.arange(count, device=batch.order.device)
    pieces = torch.cat([before[..., None], segments], -1).flatten(0, 1)
    cut = Batch(
        tokens=pad(tokens, (1, 0), value=batch.bos).flatten(0, 1),
        segments=pieces,
        order=(batch.order[:, None] * count + place).flatten(),
        bos=batch.bos,
        evidence=None if batch.evidence is None else batch.evidence.cut(count, pieces),
    )
    return Passages(cut, count, follows, first, last)
