"""A batch of token blocks: what the data layer hands to a process.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Clean token blocks.

    Every document piece in a block starts with BOS, which is never a target. A document that ended inside the
    block is followed by EOS, which is one.

    Attributes:
        tokens: Token ids, int64.
        segments: Number of the document piece (1, 2, ...) that a position belongs to; 0 at padding.
        order: Place of the example in the run's global order; all noise derives from (seed, order).
        bos: Id of BOS.
    """

    tokens: Int[Tensor, "B T"]
    segments: Int[Tensor, "B T"]
    order: Int[Tensor, " B"]
    bos: int

    @property
    def valid(self) -> Bool[Tensor, "B T"]:
        """True where there is a token, False at padding."""
        return self.segments > 0

    @property
    def predictable(self) -> Bool[Tensor, "B T"]:
        """True where the token is a target: valid and not BOS."""
        return self.valid & (self.tokens != self.bos)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        return replace(
            self, tokens=self.tokens.to(device), segments=self.segments.to(device), order=self.order.to(device)
        )
