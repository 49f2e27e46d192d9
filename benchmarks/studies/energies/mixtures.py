"""Gaussians and their mixtures: the energies whose moments, samples and noised laws are all known.

    E(x) = -log sum_k w_k N(x; m_k, C_k),     normalised: exp(-E) integrates to 1
    noised by x' = a x + s eps:  w_k, a m_k, a^2 C_k + s^2 I      (a mixture again)

Letters: B rows, K components, D dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.studies.energies.forward import Kernel
from unmask.diffusion.noise import Noise
from unmask.errors import Error


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians; with one component, a Gaussian.

    Attributes:
        weights: Positive, summing to 1.
        means: Of the components.
        covariances: Of the components, positive definite.
    """

    weights: Float[Tensor, " K"]
    means: Float[Tensor, "K D"]
    covariances: Float[Tensor, "K D D"]

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if not bool((self.weights > 0).all()) or abs(float(self.weights.sum()) - 1) > 1e-5:
            raise Error("a mixture's weights must be positive and sum to 1.")
        if bool(torch.linalg.cholesky_ex(self.covariances).info.any()):
            raise Error("a mixture's covariances must be positive definite; add a little to their diagonals.")

    def __call__(self, x: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """Return -log p(x)."""
        root = torch.linalg.cholesky(self.covariances)
        away = (x[:, None] - self.means)[..., None]
        white = torch.linalg.solve_triangular(root, away, upper=False).squeeze(-1)
        logdet = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        each: Tensor = self.weights.log() - logdet - white.square().sum(-1) / 2
        return x.shape[1] / 2 * math.log(2 * math.pi) - each.logsumexp(-1)

    @property
    def mean(self) -> Float[Tensor, " D"]:
        """The mean."""
        return self.weights @ self.means

    @property
    def covariance(self) -> Float[Tensor, "D D"]:
        """The covariance: within the components and between them."""
        away = self.means - self.mean
        return torch.einsum("k,kij->ij", self.weights, self.covariances + away[:, :, None] * away[:, None, :])

    def noised(self, kernel: Kernel) -> Mixture:
        """Return the law of x' = scale x + sigma eps."""
        spread = kernel.sigma**2 * torch.eye(self.means.shape[1], dtype=self.means.dtype, device=self.means.device)
        return Mixture(self.weights, kernel.scale * self.means, kernel.scale**2 * self.covariances + spread)

    def sample(self, noise: Noise) -> Float[Tensor, "B D"]:
        """Draw one point a row of the noise."""
        edges = self.weights.cumsum(0)[:-1].double()
        component = torch.searchsorted(edges, noise.uniform("component", 1)[:, 0], right=True)
        normal = noise.normal("point", self.means.shape[1]).to(self.means.dtype)
        root = torch.linalg.cholesky(self.covariances)
        return self.means[component] + torch.einsum("bij,bj->bi", root[component], normal)


def gaussian(mean: Float[Tensor, " D"], covariance: Float[Tensor, "D D"]) -> Mixture:
    """Return a Gaussian.

    Raises:
        Error: the covariance is not positive definite.
    """
    return Mixture(mean.new_ones(1), mean[None], covariance[None])
