"""The exact distribution of the texts of a reverse process that reopens decided positions (ReMDM).

A state says of each position which word stands there, or that it is open: (N + 1) ** L states z for N words and L
positions. In a step from alpha_t to alpha_s each position moves on its own, given the state (Wang et al. 2025, arXiv
2503.00307, eq. 6):

    decided:  open with probability sigma, else as it was
    open:     word w with probability d p(w | words of z), d = (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t)

so the law of the next state is a sum over states of products over positions, and after the last step it is the law of
the texts. With sigma = 0 it is that of :mod:`unmask.certificates.masked_law`, by other means.

Letters: L length of a text, K texts, Z states, N words.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot, pad

from unmask.certificates.worlds import HMM, all_texts
from unmask.diffusion.state import State
from unmask.sampling.sampler import Grid


class RemaskedProcess:
    """The process in one world at one length; ``law(grid)`` costs a product of Z x Z numbers a step.

    Args:
        world: The source, whose network answers as a sampler would be answered.
        length: Words of a text (L).
    """

    def __init__(self, world: HMM, length: int) -> None:
        self.length, self.words = length, world.words
        held = all_texts(world.words + 1, length)  # word number N: open
        self._open = held == world.words
        tokens = world.tokens(held.masked_fill(self._open, 0))
        tokens[:, 1:].masked_fill_(self._open, world.vocabulary.mask)
        logits = world(State(tokens)).logits.view(*tokens.shape, -1)[:, 1:, world.first :]
        self._drawn = pad(logits.softmax(-1), (0, 1))
        self._stays = one_hot(held, world.words + 1).double()

    def law(self, grid: Grid) -> Float[Tensor, " K"]:
        """Return the probability of every text after the last step, in the order of ``world.all_texts``."""
        return self.states(grid)[(~self._open).all(1)]

    def states(self, grid: Grid) -> Float[Tensor, " Z"]:
        """Return the probability of every state after the last step of a grid, which may end before the text does."""
        law = self._open.all(1).double()
        opens = one_hot(torch.tensor(self.words), self.words + 1).double()
        for now, then, sigma in zip(grid.alpha[:-1], grid.alpha[1:], grid.sigma, strict=True):
            decide = (then - (1 - sigma) * now) / (1 - now)
            moved = torch.where(
                self._open[..., None],
                decide * self._drawn + (1 - decide) * opens,
                (1 - sigma) * self._stays + sigma * opens,
            )
            reach = law > 0
            joint = law[reach, None]
            for position in range(self.length):
                joint = (joint[..., None] * moved[reach, position, None]).flatten(1)
            law = joint.sum(0)
        return law
