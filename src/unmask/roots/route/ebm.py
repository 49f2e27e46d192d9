"""A learned energy of query and shelf, trained on where the true nearest vectors lie.

    E(q, k) = |W q - c_k|^2 / tau_k - ln prior_k,     p(k | q) = softmax_k(-E),     score = ln p

The loss is the cross-entropy to the shares of a query's true nearest on each shelf. W, c, tau and the prior all learn;
they begin as the identity, the means, one temperature and the sizes, which is nearly the centroid router. What it
learned from part of the lessons is kept from the epoch that is best on the others.

Letters: Q queries, K shelves, D dimensions, B batch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from pydantic import Field
from torch import Tensor, nn

from unmask.errors import Error
from unmask.roots.options import Options
from unmask.roots.route.router import Lessons
from unmask.roots.shelves.statistics import ShelfStatistics


class PatchClassifierEBM(nn.Module):
    """The energy above.

    Attributes:
        projection: W.
        centroids: c.
        log_tau: ln tau.
        log_prior: ln prior, up to a constant.
    """

    def __init__(self, centroids: Float[Tensor, "K D"], log_prior: Float[Tensor, " K"], tau: float) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.eye(centroids.shape[1]))
        self.centroids = nn.Parameter(centroids.clone())
        self.log_tau = nn.Parameter(torch.full_like(log_prior, tau).log())
        self.log_prior = nn.Parameter(log_prior.clone())

    def forward(self, queries: Float[Tensor, "Q D"]) -> Float[Tensor, "Q K"]:
        """Return the energies, with the prior normalised."""
        z = queries @ self.projection.T
        squared = z.square().sum(1, keepdim=True) - 2 * z @ self.centroids.T + self.centroids.square().sum(1)
        return squared / self.log_tau.exp() - self.log_prior.log_softmax(0)


class EnergyRouter:
    """The learned energy."""

    class Options(Options):
        """Settings."""

        tau: float = Field(0.1, gt=0)
        """First temperature of all shelves, in units of a squared distance."""
        rate: float = Field(2e-3, gt=0)
        """Of Adam."""
        epochs: int = Field(40, ge=1)
        """At most."""
        batch: int = Field(128, ge=1)
        """Queries of a step."""
        held_out: float = Field(0.1, gt=0, lt=1)
        """Share of the lessons that choose the epoch."""

    name: ClassVar[str] = "ebm"
    learns: ClassVar[bool] = True

    def __init__(self, options: Options, statistics: ShelfStatistics, arrays: Mapping[str, np.ndarray]) -> None:
        self.options = options
        self._empty = torch.from_numpy(statistics.count == 0)
        self._energy = _untrained(options, statistics)
        try:
            self._energy.load_state_dict({name: torch.tensor(value) for name, value in arrays.items()})
        except RuntimeError as error:
            raise Error("what the router 'ebm' learned does not fit these shelves; train it again.") from error

    @classmethod
    def learn(cls, options: Options, statistics: ShelfStatistics, lessons: Lessons, seed: int) -> dict[str, np.ndarray]:
        """Return the parameters that lessons lead to.

        Raises:
            Error: there are fewer than two lessons.
        """
        if len(lessons.queries) < 2:
            raise Error("the router 'ebm' needs at least two queries to learn from.")
        energy, generator = _untrained(options, statistics), torch.Generator().manual_seed(seed)
        queries = torch.from_numpy(lessons.queries)
        shelves = torch.from_numpy(lessons.shelves)
        target = torch.zeros(len(queries), statistics.shelves)
        target.scatter_add_(1, shelves, torch.full(shelves.shape, 1 / shelves.shape[1]))
        mixed = torch.randperm(len(queries), generator=generator)
        aside = max(1, round(options.held_out * len(queries)))
        judge, learn = mixed[:aside], mixed[aside:]
        adam = torch.optim.Adam(energy.parameters(), lr=options.rate)
        best, kept = _loss(energy, queries[judge], target[judge]).item(), copy.deepcopy(energy.state_dict())
        for _ in range(options.epochs):
            for batch in learn[torch.randperm(len(learn), generator=generator)].split(options.batch):
                adam.zero_grad()
                _loss(energy, queries[batch], target[batch]).backward()
                adam.step()
            with torch.no_grad():
                loss = _loss(energy, queries[judge], target[judge]).item()
            if loss < best:
                best, kept = loss, copy.deepcopy(energy.state_dict())
        return {name: value.numpy() for name, value in kept.items()}

    @property
    def nbytes(self) -> int:
        """All parameters."""
        return sum(parameter.numel() * 4 for parameter in self._energy.parameters())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the parameters."""
        return {name: value.numpy() for name, value in self._energy.state_dict().items()}

    @torch.no_grad()
    def scores(self, queries: Float32[np.ndarray, "Q D"]) -> Float32[np.ndarray, "Q K"]:
        """Return ln p(k | q)."""
        energies: Tensor = self._energy(torch.from_numpy(np.ascontiguousarray(queries)))
        found: np.ndarray = (-energies).log_softmax(1).masked_fill(self._empty, -torch.inf).numpy()
        return found


def _untrained(options: EnergyRouter.Options, statistics: ShelfStatistics) -> PatchClassifierEBM:
    sizes = torch.from_numpy(np.maximum(statistics.count, 1)).float()
    return PatchClassifierEBM(torch.from_numpy(statistics.mean), (sizes / sizes.sum()).log(), options.tau)


def _loss(energy: PatchClassifierEBM, queries: Float[Tensor, "B D"], target: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    found: Tensor = -(target * (-energy(queries)).log_softmax(1)).sum(1).mean()
    return found
