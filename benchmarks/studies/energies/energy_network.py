"""A small energy that knows its noise level, for points of a few to a few hundred dimensions.

    E(x, sigma) = |u|^2 / 2 + (d / sigma) f(u, ln sigma),      u = (x - m) / sqrt(d^2 + sigma^2)

m and d^2 are the data's mean and variance a dimension. With f = 0 it is the energy of that Gaussian, noised: the
baseline without training. -grad E then has the shape that Karras et al. 2022 (arXiv 2206.00364, table 1) derive for a
denoiser: the network's gradient stays of order one from the highest level to the lowest.

Letters: B rows, D dimensions, W width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.studies.energies.energy import energy_and_score


class EnergyNetwork(nn.Module):
    """E(x, sigma), smooth in both; its score trains it, so it is twice differentiable.

    Args:
        mean: The data's mean.
        deviation: The data's standard deviation a dimension, d.
        width: Of the two hidden layers.
        seed: Of the initial weights.
    """

    mean: Tensor

    def __init__(self, mean: Float[Tensor, " D"], deviation: float, *, width: int = 128, seed: int = 0) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.deviation = deviation
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(len(mean) + 1, width),
                nn.SiLU(),
                nn.Linear(width, width),
                nn.SiLU(),
                nn.Linear(width, 1, bias=False),  # a constant has no score
            )

    def forward(self, x: Float[Tensor, "B D"], sigma: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Return the energy of each row at its noise level."""
        u = (x - self.mean) / (self.deviation**2 + sigma[:, None] ** 2).sqrt()
        correction: Tensor = self.layers(torch.cat([u, sigma.log()[:, None] / 4], -1)).squeeze(-1)
        return u.square().sum(-1) / 2 + self.deviation / sigma * correction

    def score(self, x: Float[Tensor, "B D"], sigma: Float[Tensor, " B"]) -> Float[Tensor, "B D"]:
        """Return -grad E, differentiable while the network trains and detached while it does not."""
        return energy_and_score(lambda y: self(y, sigma), x, create_graph=self.training)[1]
