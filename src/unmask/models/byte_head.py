"""A byte's probability in two steps: its high four bits, then its low ones given those.

    ln p(b) = ln p(b >> 4) + ln p(b & 15 | b >> 4)

As in Bytropix (16 classes of 16). What is no byte has a class of its own, of which it is the low part. Neither this
head nor the flat softmax contains the other: it has one more normalisation a class, D more numbers a class.

Letters: n asked positions, D width, V vocabulary, C classes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.models.bytes_options import SPECIALS

_LOW = 16


class HierarchicalHead(nn.Module):
    """Log-probabilities of the ids: class, then place in it.

    Args:
        width: D.
        vocabulary: V, the ids that are no byte first.
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.symbols = vocabulary - SPECIALS
        self.classes = 1 + -(-self.symbols // _LOW)
        self.high = nn.Linear(width, self.classes, bias=False)
        self.low = nn.Linear(width, self.classes * _LOW, bias=False)

    def forward(self, x: Float[Tensor, "n D"]) -> Float[Tensor, "n V"]:
        """Return normalised log-probabilities, float32 at least."""
        high, low = self.high(x), self.low(x).unflatten(-1, (self.classes, _LOW))
        dtype = torch.promote_types(high.dtype, torch.float32)
        place = torch.arange(self.classes * _LOW, device=x.device).view(self.classes, _LOW)
        there = torch.where(place < _LOW, place < SPECIALS, place < _LOW + self.symbols)
        low = low.to(dtype).masked_fill(~there, -torch.inf).log_softmax(-1)
        both = high.to(dtype).log_softmax(-1)[..., None] + low
        return torch.cat([both[..., 0, :SPECIALS], both[..., 1:, :].flatten(-2)[..., : self.symbols]], -1)
