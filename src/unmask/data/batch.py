"""A batch of token blocks: what the data layer hands to a process.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.data.evidence import Evidence


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
        evidence: Vectors that go with the documents; ``None``: there are none.
    """

    tokens: Int[Tensor, "B T"]
    segments: Int[Tensor, "B T"]
    order: Int[Tensor, " B"]
    bos: int
    evidence: Evidence | None = None

    @property
    def valid(self) -> Bool[Tensor, "B T"]:
        """True where there is a token, False at padding."""
        return self.segments > 0

    @property
    def predictable(self) -> Bool[Tensor, "B T"]:
        """True where the token is a target: valid and not BOS."""
        return self.valid & (self.tokens != self.bos)

    @property
    def askable(self) -> Bool[Tensor, "B T"]:
        """True where the token may be hidden and asked: predictable, and no query whose evidence is shown."""
        return self.predictable if self.evidence is None else self.predictable & ~self.evidence.given

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        evidence = None if self.evidence is None else self.evidence.to(device)
        tokens, segments, order = (part.to(device) for part in (self.tokens, self.segments, self.order))
        return replace(self, tokens=tokens, segments=segments, order=order, evidence=evidence)
