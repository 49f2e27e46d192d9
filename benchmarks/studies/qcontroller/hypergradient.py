"""Hypergradient descent: the learning rate goes down the gradient that the loss has in it.

The step before was w_t = w_(t-1) - l u_(t-1), so the loss at w_t falls with l at the rate <g_t, u_(t-1)>. In the
multiplicative form, which has no unit,

    l <- l (1 + beta <g_t, u_(t-1)> / (|g_t| |u_(t-1)|))

Baydin et al. 2018, "Online learning rate adaptation with hypergradient descent", arXiv 1703.04782. u is read off what
the optimiser did, so it works with any.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


class Hypergradient:
    """A factor on the schedule's learning rate.

    Args:
        parameters: What the optimiser changes; N numbers in all.
        beta: Step of the logarithm of the rate, at most.
    """

    def __init__(self, parameters: list[Tensor], beta: float = 0.02) -> None:
        self.parameters = parameters
        self.beta = beta
        self.factor = 1.0
        self._before: Float[Tensor, " N"] | None = None

    def act(self) -> float:
        """Return the factor of the step that is about to be taken, with the gradients in place."""
        weights = _flat(self.parameters)
        if self._before is not None:
            gradient = _flat([p.grad for p in self.parameters if p.grad is not None])
            step = self._before - weights
            size = float(gradient.norm() * step.norm())
            if size > 0:
                self.factor *= 1 + self.beta * float(gradient @ step) / size
        self._before = weights
        return self.factor


@torch.no_grad()
def _flat(tensors: list[Tensor]) -> Float[Tensor, " N"]:
    return torch.cat([t.detach().flatten() for t in tensors])
