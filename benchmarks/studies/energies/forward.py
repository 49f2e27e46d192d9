"""Forward noising whose marginals are known: variance exploding, and the Ornstein-Uhlenbeck process that keeps it.

    x_t = a x_0 + s eps
    variance exploding      dx = g dW             a = 1,      s = sigma            (Song & Ermon 2019, arXiv 1907.05600)
    variance preserving     dx = -x dt + sqrt2 dW a = e^-t,   s^2 = 1 - e^-2t      (Song et al. 2021, arXiv 2011.13456)

The second is Langevin dynamics in the energy |x|^2 / 2, whatever the data: noising is Langevin, but *un*-noising is not
Langevin in one energy. It needs the score of every level, -grad E(x, sigma), and annealing.

Letters: B rows, D dimensions, L levels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.errors import Error


class Kernel(NamedTuple):
    """The law of a noised point given the clean one: N(scale x, sigma^2 I)."""

    scale: float
    sigma: float

    def then(self, later: Kernel) -> Kernel:
        """Return this kernel followed by another, as one."""
        return Kernel(later.scale * self.scale, math.hypot(later.scale * self.sigma, later.sigma))

    def apply(self, x: Float[Tensor, "B D"], noise: Noise) -> Float[Tensor, "B D"]:
        """Noise each row with its own noise."""
        return self.scale * x + self.sigma * noise.normal("forward", x.shape[1]).to(x.dtype)


def variance_exploding(sigma: float) -> Kernel:
    """Return the kernel that adds noise of standard deviation ``sigma``."""
    return Kernel(1.0, sigma)


def variance_preserving(time: float) -> Kernel:
    """Return the Ornstein-Uhlenbeck kernel after ``time`` >= 0; as it grows, anything becomes N(0, I)."""
    return Kernel(math.exp(-time), math.sqrt(-math.expm1(-2 * time)))


def noise_levels(highest: float, lowest: float, count: int) -> Float[Tensor, " L"]:
    """Return ``count`` standard deviations from the highest to the lowest, each a constant share of the one before.

    Raises:
        Error: they are not positive and falling.
    """
    if not (highest > lowest > 0 and count >= 2):
        raise Error(
            f"noise levels need highest > lowest > 0 and at least two of them, not {highest}, {lowest}, {count}."
        )
    return torch.logspace(math.log10(highest), math.log10(lowest), count)
