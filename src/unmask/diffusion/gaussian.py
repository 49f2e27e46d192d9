"""Gaussian diffusion of thoughts: a known marginal in every cell, whatever its saliency.

    z = sqrt(1 - v) z_0 + sqrt(v) eps,    v = r(tau_c) the share of noise in the variance of cell c

``r`` is any schedule that rises from 0 to 1 (Ho et al. 2020, arXiv 2006.11239, in the variance-preserving form of
Kingma et al. 2021, arXiv 2107.00630). A salient cell is noised later: tau_c = tau ** (1 + saliency * rank_c), rank in
[0, 1] by the cell's squared norm. Every cell is pure noise at tau = 1, and its own v is told to the network.

Letters: B batch, C cells, E channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.schedules import Schedule


def levels(
    time: Float[Tensor, " B"], clean: Float[Tensor, "B C E"], schedule: Schedule, saliency: float
) -> Float[Tensor, "B C"]:
    """Return the share of noise in each cell's variance.

    Args:
        time: tau in [0, 1].
        clean: Thoughts (or what is believed of them), whose norms say which cells are salient.
        schedule: r.
        saliency: How much later the weightiest cell is noised than the lightest.
    """
    batch, cells = clean.shape[:2]
    exponent = torch.ones(batch, cells, dtype=torch.float64, device=clean.device)
    if saliency and cells > 1:
        weight = clean.detach().float().square().sum(-1)
        exponent = exponent + saliency * weight.argsort(1).argsort(1) / (cells - 1)
    tau = time.double().clamp(0, 1)[:, None] ** exponent
    return schedule(tau.flatten()).view_as(tau).clamp(0, 1).float()


def noised(
    clean: Float[Tensor, "B C E"], level: Float[Tensor, "B C"], noise: Float[Tensor, "B C E"]
) -> Float[Tensor, "B C E"]:
    """Return z."""
    v = level[..., None].to(clean.dtype)
    return (1 - v).sqrt() * clean + v.sqrt() * noise.to(clean.dtype)


def noise_of(
    cells: Float[Tensor, "B C E"], level: Float[Tensor, "B C"], clean: Float[Tensor, "B C E"]
) -> Float[Tensor, "B C E"]:
    """Return the eps that a clean thought leaves in a noised one; 0 where there is no noise."""
    v = level[..., None].to(cells.dtype)
    return torch.where(v > 0, (cells - (1 - v).sqrt() * clean) / v.sqrt().clamp(min=1e-6), torch.zeros_like(cells))


def denoised_to(
    cells: Float[Tensor, "B C E"],
    level: Float[Tensor, "B C"],
    clean: Float[Tensor, "B C E"],
    then: Float[Tensor, "B C"],
) -> Float[Tensor, "B C E"]:
    """Return the thought at another level, given what is believed of the clean one.

    DDIM (Song et al. 2020, arXiv 2010.02502): eps stays, so that all randomness of a trajectory is that of its start.
    """
    return noised(clean, then, noise_of(cells, level, clean))
