"""Retrieved memory: vectors of any encoder that join the memory of a document.

Evidence must be a help and never a need, so in training the whole memory of a row is left out with probability
``memory_dropout``. What decides is a hash of the tokens that the row shows. They derive from (seed, example), so this
does, too: a run resumes bit-exactly, N ranks equal one, and an example is decided anew in each epoch. A row without
memory is, exactly, a row of the network without memory: what is not there is read with weight 0.

Letters: B batch, T tokens, M vectors, E their width, D width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from unmask.diffusion.noise import Noise
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.side_vectors import Memories


class RetrievedMemory(nn.Module):
    """The projection of retrieved vectors to the network's width.

    Args:
        width: Of the vectors (E).
        inner: Of the network (D).
        dropout: Probability that a row's memory is left out in training.
    """

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(width, inner)
        self.dropout = dropout

    def forward(self, state: State) -> Memories:
        """Return the vectors at the network's width.

        Raises:
            Error: vectors of another width.
        """
        assert state.memory is not None
        vectors, there, wanted = state.memory.vectors, state.memory.valid, self.project.in_features
        if vectors.shape[-1] != wanted:
            raise Error(f"the memory is {vectors.shape[-1]} wide, backbone.memory_width is {wanted}; make them equal.")
        if self.training and self.dropout:
            there = there & ~dropped(state, self.dropout)[:, None]
        return Memories(self.project(vectors.to(self.project.weight.dtype)), there, state.memory.segments)


def dropped(state: State, probability: float) -> Bool[Tensor, " B"]:
    """Return which rows lose their memory: a function of the tokens that each row shows, padding left out."""
    tokens = state.tokens
    if state.segments is not None:
        tokens = tokens.masked_fill(state.segments == 0, 0)
    if state.valid is not None:
        tokens = tokens.masked_fill(~state.valid, 0)
    return Noise(0, _hash(tokens)).uniform("memory-dropout", 1)[:, 0] < probability


def _hash(tokens: Int[Tensor, "B T"]) -> Int[Tensor, " B"]:
    """Return a number of each row's tokens and their places: one random 64-bit number of each pair, summed."""
    rows, length = tokens.shape
    places = torch.arange(length, device=tokens.device).expand(rows, length)
    pairs = Noise(0, places.flatten()).fold(tokens.flatten()).keys.view(rows, length)
    return pairs.masked_fill(tokens == 0, 0).sum(1)
