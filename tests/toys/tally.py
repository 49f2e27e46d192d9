"""Something carried, and the network that leaves it and reads it: how often it was asked about a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from guards.parts import VOCABULARY
from unmask.diffusion.carried import Carried, Notes
from unmask.diffusion.state import Prediction, State


@dataclass(frozen=True)
class Tally(Carried):
    """Answers so far [B], and the words that were seen at each position."""

    calls: Tensor
    seen: Tally.Seen

    @dataclass(frozen=True)
    class Seen(Carried):
        """Their ids, summed [B, T]."""

        total: Tensor
        placed = True


class Counting(nn.Module):
    """A network whose answer is told by the tally alone."""

    leaves_notes = True

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.table = nn.Parameter(3 * torch.randn(vocabulary, vocabulary, generator=torch.Generator().manual_seed(0)))

    def forward(self, state: State, at: Any = None) -> Prediction:
        before = state.notes.get(Tally)
        calls = torch.zeros_like(state.tokens[:, 0]) if before is None else before.calls
        words = state.tokens * (state.tokens != VOCABULARY.mask)
        total = words if before is None else before.seen.total + words
        rows, columns = at.nonzero(as_tuple=True)
        logits = self.table[(7 * calls[rows] + total[rows, columns - 1] + columns) % len(self.table)]
        return Prediction(logits, notes=Notes((Tally(calls + 1, Tally.Seen(total)),)))
