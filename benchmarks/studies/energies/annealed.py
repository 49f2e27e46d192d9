"""Annealed Langevin: from noise to data through the scores of falling noise levels (Song & Ermon 2019, 1907.05600).

    at each level sigma, some steps of   x' = x + h score(x, sigma) + sqrt(2h) eps,   h = step * sigma^2
    at the end                           x + sigma^2 score(x, sigma) = E[clean x | noised x]        (Tweedie)

At a high level the modes have run together and every chain passes between them; the levels below then only sharpen. So
the shares of separated modes come out right, which Langevin in the last energy alone cannot give.

Letters: B chains, D dimensions, L levels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.studies.energies.energy import Score
from benchmarks.studies.energies.langevin import ula
from unmask.diffusion.noise import Noise

ConditionalScore = Callable[[Float[Tensor, "B D"], Float[Tensor, " B"]], Float[Tensor, "B D"]]


def annealed_langevin(
    score: ConditionalScore,
    x: Float[Tensor, "B D"],
    levels: Float[Tensor, " L"],
    *,
    step: float,
    steps: int,
    noise: Noise,
) -> Float[Tensor, "B D"]:
    """Return the chains after ``steps`` steps at each level: points of the law noised by the last level.

    Args:
        score: Of (x, standard deviation of the noise), one level a row.
        x: Where the chains start: noise of the first level, and the data's mean if it is not 0.
        levels: Standard deviations, falling.
        step: h / sigma^2; about 0.1. ULA's error in each level grows with it.
        steps: At each level.
        noise: One row a chain.

    Raises:
        Error: the step is not positive.
    """
    for k, level in enumerate(levels.tolist()):
        sigma = x.new_full((len(x),), level)
        fresh = noise.fold(torch.tensor(k))
        for moved in ula(_at(score, sigma), x, step=step * level**2, steps=steps, noise=fresh):
            x = moved
    return x


def denoised(score: ConditionalScore, x: Float[Tensor, "B D"], level: float) -> Float[Tensor, "B D"]:
    """Return the mean of the clean point given the noised one (Tweedie's formula): it takes the level's noise away."""
    return x + level**2 * score(x, x.new_full((len(x),), level))


def _at(score: ConditionalScore, sigma: Float[Tensor, " B"]) -> Score:
    return lambda x: score(x, sigma)
