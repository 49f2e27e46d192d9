"""The exact distribution of the texts that the reverse process of masked diffusion writes in N steps.

With a linear schedule each position is decided in step 1 .. N with equal probability, independently of the words; the
positions of one step are drawn independently given those of earlier steps (Sahoo et al. 2024, arXiv 2406.07524, eq. 7).
So the steps cut the L positions into an ordered partition (C_1, .., C_k), each with probability binom(N, k) / N^L, and

    q_N(x) = sum_k binom(N, k) / N^L * sum over (C_1 .. C_k) of prod_j prod_{i in C_j} p(x_i | x of C_1 .. C_{j-1})

The inner sum is a recursion over sets of decided positions, so nothing is enumerated but the 3^L pairs (decided before,
decided now). q_1 is the product of the marginals; q_N goes to the truth as N grows, for two positions then never share
a step.

Letters: L length of a text, K texts, N steps.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.certificates.worlds import HMM
from unmask.diffusion.state import State


class ReverseProcess:
    """The reverse process of one world at one length; ``law(steps)`` is cheap once this is made.

    Args:
        world: The source, whose network answers as a sampler would be answered.
        length: Words of a text (L).
    """

    def __init__(self, world: HMM, length: int) -> None:
        self.length = length
        every = (1 << length) - 1
        given = [_conditionals(world, length, decided) for decided in range(every)]
        # ways[k][set]: sum over ordered partitions of the set into k parts, for each text
        ways: list[dict[int, Tensor]] = [{0: torch.ones(world.words**length, dtype=torch.float64)}]
        for _ in range(length):
            longer: dict[int, Tensor] = {}
            for before, weight in ways[-1].items():
                rest = now = every & ~before
                while now:
                    step = weight * given[before][:, [i for i in range(length) if now >> i & 1]].prod(1)
                    longer[before | now] = longer[before | now] + step if before | now in longer else step
                    now = (now - 1) & rest
            ways.append(longer)
        self._ways = [w[every] for w in ways[1:]]

    def law(self, steps: int) -> Float[Tensor, " K"]:
        """Return q_N of every text, in the order of ``world.all_texts``."""
        parts = [math.comb(steps, k) / steps**self.length * way for k, way in enumerate(self._ways, 1)]
        return torch.stack(parts).sum(0)


def _conditionals(world: HMM, length: int, decided: int) -> Float[Tensor, "K L"]:
    """Return p(x_i | x of the decided positions) of every text x and position i; bit i of ``decided`` is position i."""
    words = world.all_texts(length)
    hidden = torch.tensor([not decided >> i & 1 for i in range(length)])
    tokens = world.tokens(words)
    tokens[:, 1:][:, hidden] = world.vocabulary.mask
    logits = world(State(tokens)).logits.view(*tokens.shape, -1)[:, 1:]
    return logits.gather(2, (words + world.first)[..., None])[..., 0].exp()
