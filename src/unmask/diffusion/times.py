"""How training draws the time t of each example: low-discrepancy, uniform or bell-shaped, with a growing upper end.

The i-th example of a run gets u_i = frac(u_0 + i * golden ratio), a Weyl sequence: any run of consecutive examples is
evenly spread over (0, 1), whatever the batch size, the number of ranks and the point of resumption. This does what
stratified ("antithetic") sampling does within one batch, without knowing the batch.

Letters: B batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.diffusion.noise import Noise

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_SMALLEST = 1e-4  # t = 0 hides nothing and has an infinite weight


def spread(seed: int, order: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return the low-discrepancy u in [0, 1) of each example, float64."""
    start = Noise(seed, torch.zeros(1, dtype=torch.int64, device=order.device)).uniform("time", 1)[0, 0]
    return torch.remainder(start + order.to(torch.float64) * _GOLDEN_RATIO, 1.0)


@dataclass(frozen=True)
class Times:
    """A distribution of t on (0, upper].

    Attributes:
        shape: ``uniform``, or ``bell``: logit-normal, t = sigmoid(center + width * z), which concentrates training
            where hidden tokens have context (arXiv 2605.13026).
        center: Logit of the bell's median.
        width: Standard deviation of the bell in logits.
        upper: Largest t; a curriculum raises it.
    """

    shape: Literal["uniform", "bell"] = "uniform"
    center: float = -0.5
    width: float = 1.2
    upper: float = 1.0

    def draw(self, u: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Map u in [0, 1) to t."""
        if self.shape == "bell":
            u = torch.sigmoid(self.center + self.width * torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)))
        return (u * self.upper).clamp(min=_SMALLEST)

    def density(self, t: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Return the probability density of t, which an unbiased bound divides by."""
        if self.shape == "uniform":
            return torch.full_like(t, 1 / self.upper)
        v = (t / self.upper).clamp(1e-6, 1 - 1e-6)
        z = (torch.logit(v) - self.center) / self.width
        normal = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return normal / (self.width * v * (1 - v) * self.upper)
