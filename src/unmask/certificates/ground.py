"""A world as the ground on which a sampler stands: the exact laws, and tens of thousands of its texts, counted.

Letters: B rows, n texts, K possible texts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.certificates.masked_law import ReverseProcess
from unmask.certificates.remasking_law import RemaskedProcess
from unmask.certificates.uniform_law import RedrawnProcess
from unmask.certificates.worlds import HMM
from unmask.diffusion.noise import Noise
from unmask.sampling.request import Settings, fill_request
from unmask.sampling.sampler import Sampler
from unmask.sampling.state import SamplerState, rows

_ROWS = 1 << 15  # texts that are written at once


@dataclass(frozen=True)
class Ground:
    """A world at one length of text: what does not depend on the sampler, computed once.

    Attributes:
        name: Name of the world.
        world: The source, and the perfect network.
        length: Words of a text.
    """

    name: str
    world: HMM
    length: int

    @cached_property
    def truth(self) -> Float[Tensor, " K"]:
        """The probability of every text."""
        return (-self.world.nats(self.world.all_texts(self.length))).exp()

    @cached_property
    def reverse(self) -> ReverseProcess:
        """The reverse process of masked diffusion in this world."""
        return ReverseProcess(self.world, self.length)

    @cached_property
    def remasked(self) -> RemaskedProcess:
        """The reverse process that reopens decided positions, in this world."""
        return RemaskedProcess(self.world, self.length)

    @cached_property
    def redrawn(self) -> RedrawnProcess:
        """The reverse process of uniform-state diffusion in this world."""
        return RedrawnProcess(self.world, self.length)

    def numbers(self, state: SamplerState) -> Int[Tensor, " B"]:
        """Return the number of each row's text; K where it is not a full text of the world's words."""
        words = state.tokens[:, 1:] - self.world.first
        whole = (state.valid & ~state.open)[:, 1:] & (words >= 0) & (words < self.world.words)
        place = self.world.words ** torch.arange(self.length - 1, -1, -1)
        return torch.where(whole.all(1), (words * place).sum(1), len(self.truth))

    def from_truth(self, law: Float[Tensor, " K"]) -> float:
        """Return the exact total variation between a known law and the truth."""
        return float((law - self.truth).abs().sum()) / 2


def write_texts(
    sampler: Sampler, settings: Settings, ground: Ground, samples: int, first: int = 0
) -> tuple[Int[Tensor, " n"], float]:
    """Write texts number ``first`` .. ``first + samples - 1`` of a seed, as ``generate`` would, many at once.

    Returns:
        The number of each text, and the network calls a text, mean. A text that the sampler does not finish within ten
        times the steps that it could need counts as none of the world's texts.
    """
    vocabulary = ground.world.vocabulary
    most = 10 * (getattr(settings, "steps", 0) + ground.length)
    one = sampler.start([fill_request([], ground.length, vocabulary, settings)], vocabulary)
    seen, forwards = [], 0
    for begin in range(first, first + samples, _ROWS):
        index = torch.arange(begin, min(begin + _ROWS, first + samples))
        state = replace(rows(one, [0] * len(index)), key=Noise(settings.seed, index).keys)
        numbers = torch.full_like(index, len(ground.truth))
        place = torch.arange(len(index))
        for _ in range(most):
            state, _ = sampler.step(ground.world, state)
            if bool(state.done.any()):
                done, stay = state.done.nonzero()[:, 0], (~state.done).nonzero()[:, 0]
                numbers[place[done]] = ground.numbers(state)[done]
                forwards += int(state.forwards[done].sum())
                state, place = rows(state, stay), place[stay]
            if not len(place):
                break
        forwards += int(state.forwards.sum())
        seen.append(numbers)
    return torch.cat(seen), forwards / samples
