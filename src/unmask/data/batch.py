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
        supervised: The tokens that are learned and scored, of talks the responses; the others are given. ``None``: all.
        share: Share of the places of a corpus that are learned: what makes a loss a mean over these.
    """

    tokens: Int[Tensor, "B T"]
    segments: Int[Tensor, "B T"]
    order: Int[Tensor, " B"]
    bos: int
    evidence: Evidence | None = None
    supervised: Bool[Tensor, "B T"] | None = None
    share: float = 1.0

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
        """True where the token may be hidden and asked: predictable, learned, and no query whose evidence is shown."""
        at = self.predictable if self.supervised is None else self.predictable & self.supervised
        return at if self.evidence is None else at & ~self.evidence.given

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        evidence = None if self.evidence is None else self.evidence.to(device)
        supervised = None if self.supervised is None else self.supervised.to(device)
        tokens, segments, order = (part.to(device) for part in (self.tokens, self.segments, self.order))
        return replace(self, tokens=tokens, segments=segments, order=order, evidence=evidence, supervised=supervised)
