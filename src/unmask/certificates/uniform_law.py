"""The exact distribution of the texts that the reverse process of uniform-state diffusion writes in N steps.

A state says which word is shown at each position: M ** L states z for M words (the world's and end-of-text) and L
positions. A step draws each position on its own, given the state (see :mod:`unmask.sampling.uniform`); a correction
then picks a position evenly and draws it given all the others. So the law of the next state is a sum over states of
products over positions, and after the last step it is the law of the texts.

Letters: L length of a text, K texts, Z states, M words.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.certificates.worlds import HMM, all_texts
from unmask.diffusion.state import State
from unmask.diffusion.uniform import Words


class RedrawnProcess:
    """The process in one world at one length; ``law(steps, corrections)`` costs a product of Z x Z numbers a step.

    Args:
        world: The source, whose network answers as a sampler would be answered.
        length: Words of a text (L).
    """

    def __init__(self, world: HMM, length: int) -> None:
        self.world, self.length = world, length
        self._words = Words(world.vocabulary)
        self._held = all_texts(self._words.count, length)
        bos = torch.full_like(self._held[:, :1], world.vocabulary.bos)
        self._tokens = torch.cat([bos, self._words.ids[self._held]], 1)
        self._texts = (self._tokens[:, 1:] >= world.first).all(1)

    def law(self, steps: int, corrections: int = 0) -> Float[Tensor, " K"]:
        """Return the probability of every text, in the order of ``world.all_texts``."""
        count, states = self._words.count, len(self._held)
        law = torch.full((states,), 1 / states, dtype=torch.float64)
        shown = torch.nn.functional.one_hot(self._held, count).double()
        for step in range(steps):
            r, s = (steps - step) / steps, (steps - step - 1) / steps
            keeps = (1 - r) / (1 - s)
            mass = self._noised(r, s) * (keeps * shown + (1 - keeps) / count)
            law = self._moved(law, mass / mass.sum(-1, keepdim=True))
            alone = self._noised(s, s) if s else None
            for _ in range(corrections if alone is not None else 0):
                law = torch.stack([self._drawn_anew(law, alone, place) for place in range(self.length)]).mean(0)
        return law[self._texts]

    def _noised(self, level: float, to: float) -> Float[Tensor, "Z L M"]:
        """Return q of every word at noise ``to``, from what the world believes of states at noise ``level``."""
        levels = torch.full(self._tokens.shape, level, dtype=torch.float64)
        logits = self.world(State(self._tokens, level=levels)).logits
        believed = self._words.beliefs(logits).exp().view(*self._tokens.shape, -1)[:, 1:]
        return (1 - to) * believed + to / self._words.count

    def _moved(self, law: Float[Tensor, " Z"], drawn: Float[Tensor, "Z L M"]) -> Float[Tensor, " Z"]:
        """Return the law after every position was drawn on its own."""
        paths = law[:, None]
        for place in range(self.length):
            paths = (paths[..., None] * drawn[:, place, None]).flatten(1)
        return paths.sum(0)

    def _drawn_anew(self, law: Float[Tensor, " Z"], alone: Float[Tensor, "Z L M"], place: int) -> Float[Tensor, " Z"]:
        """Return the law after one position was drawn given the others."""
        shape = (self._words.count,) * self.length
        others = law.view(shape).sum(place, keepdim=True)
        drawn = alone.gather(2, self._held[:, :, None])[:, place, 0]
        return (others * drawn.view(shape)).flatten()
