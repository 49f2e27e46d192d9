r"""How training draws the time t of each example: low-discrepancy, uniform or bell-shaped, with a growing upper end.

The i-th example of a run gets u_i = frac(u_0 + i * golden ratio), a Weyl sequence: any run of consecutive examples is
evenly spread over (0, 1), whatever the batch size, the number of ranks and the point of resumption. This does what
stratified ("antithetic") sampling does within one batch, without knowing the batch.

The weighted loss of the bound needs the share of hidden tokens r and a weight w with E_u [w r f(r)] = int f(r) dr for
every f, where r(t) goes from 0 to its largest value. With t of density p that is w = r'(t) / (r(t) p(t)), which grows
without limit where r' does at t = 0, or where a bell has no mass; a limit on t would leave out what lies beyond it. So
the two ends, of probability e each, are drawn evenly in r:

    u < e:      r = r(t_e) u / e,                                       w = r(t_e) / (e r)
    u > 1 - e:  r = r(t_{1-e}) + (r(t_1) - r(t_{1-e})) (u - 1 + e) / e,   w = (r(t_1) - r(t_{1-e})) / (e r)

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
from unmask.diffusion.schedules import Schedule, slope

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_SMALLEST = 1e-4  # t = 0 hides nothing
_END = 1e-2  # e; a smaller one leaves a bell heavier weights: their variance is 12 times larger at 1e-4
_TINY = 1e-30  # a rate of 0 hides nothing, so its weight does not matter, but must be a number


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
        return self._quantile(u.clamp(1e-6, 1 - 1e-6) if self.shape == "bell" else u).clamp(min=_SMALLEST)

    def _quantile(self, u: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        if self.shape == "bell":
            u = torch.sigmoid(self.center + self.width * torch.special.ndtri(u))
        return u * self.upper

    def weighted(self, schedule: Schedule, u: Float[Tensor, " B"]) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        """Map u in [0, 1) to a share of hidden tokens and its weight in the bound, without bias (see above).

        Args:
            schedule: r(t).
            u: Evenly spread numbers, float64.

        Returns:
            r and w, so that the mean of w r over u is r at the largest t.
        """
        t = self._quantile(u.clamp(_END, 1 - _END))
        rate = schedule(t)
        weight = slope(schedule, t) / (rate.clamp(min=_TINY) * self.density(t))
        ends = self._quantile(torch.tensor([_END, 1 - _END], dtype=u.dtype, device=u.device))
        low, high = schedule(ends)
        top = schedule(torch.full((1,), self.upper, dtype=u.dtype, device=u.device))
        for inside, first, last, place in (
            (u < _END, torch.zeros_like(low), low, u / _END),
            (u > 1 - _END, high, top, (u - (1 - _END)) / _END),
        ):
            even = first + (last - first) * place
            weight = torch.where(inside, (last - first) / (_END * even.clamp(min=_TINY)), weight)
            rate = torch.where(inside, even, rate)
        return rate, weight

    def density(self, t: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Return the probability density of t."""
        if self.shape == "uniform":
            return torch.full_like(t, 1 / self.upper)
        v = (t / self.upper).clamp(1e-6, 1 - 1e-6)
        z = (torch.logit(v) - self.center) / self.width
        normal = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return normal / (self.width * v * (1 - v) * self.upper)
