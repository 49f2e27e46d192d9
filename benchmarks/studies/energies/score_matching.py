"""Denoising score matching at several noise levels: the score of noised data, learned from pairs of clean and noised.

    x' = x + sigma eps,   grad log p(x' | x) = -eps / sigma
    loss(x, sigma) = sigma^2 / D | score(x', sigma) + eps / sigma |^2 = | sigma score(x', sigma) + eps |^2 / D

The minimum over functions is the true score of the noised law (Vincent 2011); the weight sigma^2 makes levels count
alike (Song & Ermon 2019, arXiv 1907.05600). The loss does not fall to 0: what is left is how uncertain the clean point
is, so compare scores, or losses with a baseline's. Score matching itself is Hyvarinen 2005.

Letters: B rows, D dimensions, L levels.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from benchmarks.studies.energies.annealed import ConditionalScore
from unmask.diffusion.noise import Noise


def denoising_loss(
    score: ConditionalScore, x: Float[Tensor, "B D"], levels: Float[Tensor, " L"], noise: Noise
) -> Float[Tensor, "B L"]:
    """Return each row's loss at each level; a score that knows nothing (0) has 1 on average.

    Args:
        score: Of (x, sigma). Of an energy: ``energy_and_score(..., create_graph=True)[1]``, as ``EnergyNetwork.score``.
        x: Clean points.
        levels: Standard deviations of the noise.
        noise: One row a point: of (seed, epoch, example), so a run can be repeated.
    """
    rows, count, width = len(x), len(levels), x.shape[1]
    eps = noise.normal("denoising", count * width).to(x.dtype).view(rows * count, width)
    sigma = levels.to(x).repeat(rows)
    found = score(x.repeat_interleave(count, 0) + sigma[:, None] * eps, sigma)
    return (sigma[:, None] * found + eps).square().mean(-1).view(rows, count)
