"""An energy is a number for each row; its score is minus its gradient, and a check says whether that is true.

    score(x) = -grad E(x) = grad log p(x)

Letters: B rows, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

Score = Callable[[Float[Tensor, "B D"]], Float[Tensor, "B D"]]


class Energy(Protocol):
    """Any function, or module, from rows to energies. A row's energy depends on that row alone."""

    def __call__(self, x: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """Return the energy of each row; differentiable in x."""
        ...


def energy_and_score(
    energy: Energy, x: Float[Tensor, "B D"], *, create_graph: bool = False
) -> tuple[Float[Tensor, " B"], Float[Tensor, "B D"]]:
    """Return E(x) and -grad E(x), by automatic differentiation.

    Args:
        energy: Of each row.
        x: Where.
        create_graph: Keep the graph, so that a loss of the score can train the energy. Otherwise both are detached.
    """
    with torch.enable_grad():
        point = x if create_graph and x.requires_grad else x.detach().requires_grad_()
        value = energy(point)
        (slope,) = torch.autograd.grad(value.sum(), point, create_graph=create_graph)
    return (value, -slope) if create_graph else (value.detach(), -slope)


def score_of(energy: Energy) -> Score:
    """Return the score of an energy as a function of x."""
    return lambda x: energy_and_score(energy, x)[1]


def check_score(energy: Energy, x: Float[Tensor, "B D"], claimed: Score | None = None, *, width: float = 1e-4) -> float:
    """Return how far a score is from -dE/dx by central differences, relative to the largest entry (at least 1).

    Each row's differences are taken without the other rows, so an energy that mixes rows is caught too.

    Args:
        energy: Of each row; it should compute in float64 when x is float64.
        x: Where to look, a few rows, float64.
        claimed: The score to check; default: the gradient that autograd finds, which is wrong where an energy detaches,
            rounds or mixes rows.
        width: Half the distance of the two points of a difference. The error of a right score is near width^2.
    """
    found = (claimed or score_of(energy))(x)
    steps = width * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    with torch.no_grad():
        rows = [(energy(row - steps) - energy(row + steps)) / (2 * width) for row in x]
    true = torch.stack(rows)
    return float((found - true).abs().max() / true.abs().max().clamp(min=1))
