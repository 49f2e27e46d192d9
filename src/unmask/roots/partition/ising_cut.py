"""A balanced minimum cut of the graph of nearest neighbours, as an Ising energy that is cooled.

    E(s) = - sum_(i,j) J_ij s_i s_j + sum_g (gamma / n_g) ( sum_(i in g) s_i - b_g n_g )^2

J_ij is the cosine of neighbours (twice for mutual ones), g a group of the level, b_g = 2 share - 1. Low energy keeps
neighbours together; the second part, which is no edge, keeps sides at their share. The groups of a level are one graph
without edges between them, swept together. The start is a balanced 2-means; colours of the graph move at once
(:mod:`unmask.roots.energies.gibbs`) against the balance as it stands before the block, so blocks are small; at the
end a group is cut at its share, give or take ``slack``, by the pull on each node. Neural LSH (Dong et al. 2020, arXiv
1901.08544) cuts the same graph with KaHIP.

Letters: N nodes, B chains, n nodes of a block or group, G groups, E pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64
from pydantic import Field
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.roots.energies.annealing import cooling
from unmask.roots.energies.coloring import greedy_coloring
from unmask.roots.energies.discrete import Block, make_blocks
from unmask.roots.energies.gibbs import sweep, uniforms
from unmask.roots.energies.graph import Graph, make_graph
from unmask.roots.energies.ising import Ising
from unmask.roots.options import Options
from unmask.roots.partition.halving import Split, halve, principal
from unmask.roots.partition.neighbours import neighbours
from unmask.roots.partition.partitioner import ByCentroid, Partition, checked, finish, unit


@dataclass
class BalancedIsing:
    """The energy above; a :class:`~unmask.roots.energies.discrete.Discrete`.

    Attributes:
        graph: Who is bound to whom; the balance is not in it.
        couplings: J.
        group: Of each node.
        share: Of each group, that should be up.
        gamma: Weight of the balance.
        bonds: The first part of E.
        sizes: Nodes of each group; 1 where there is none.
    """

    graph: Graph
    couplings: Float[Tensor, " E"]
    group: Int[Tensor, " N"]
    share: Float[Tensor, " G"]
    gamma: float
    bonds: Ising = field(init=False)
    sizes: Float[Tensor, " G"] = field(init=False)

    def __post_init__(self) -> None:
        self.bonds = Ising(self.graph, self.couplings.new_zeros(self.graph.nodes), self.couplings)
        self.sizes = torch.bincount(self.group, minlength=len(self.share)).clamp(min=1).to(self.share)

    @property
    def values(self) -> Float[Tensor, " 2"]:
        """Down and up."""
        return self.bonds.values

    def excess(self, state: Float[Tensor, "N B"]) -> Float[Tensor, "G B"]:
        """Return by how much the sum of each group's spins is above what its share asks for."""
        sums = state.new_zeros(len(self.share), state.shape[1]).index_add_(0, self.group, state)
        return sums - ((2 * self.share - 1) * self.sizes)[:, None]

    def __call__(self, state: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the energy of each state."""
        return self.bonds(state) + self.gamma * (self.excess(state.T).square() / self.sizes[:, None]).sum(0)

    def logits(self, block: Block, state: Float[Tensor, "N B"]) -> Float[Tensor, "n B 2"]:
        """Return the logits of down and up; the others of the block count as they stand."""
        group = self.group[block.nodes]
        without = self.excess(state)[group] - state[block.nodes]
        push = -2 * self.gamma / self.sizes[group][:, None] * without
        return self.bonds.logits(block, state) + torch.stack([-push, push], -1)


class IsingCut(ByCentroid):
    """Few neighbours on different shelves, by halving."""

    class Options(Options):
        """Settings."""

        neighbours: int = Field(10, ge=1)
        """Of each vector in the graph."""
        gamma: float = Field(2.0, gt=0)
        """Weight of the balance."""
        sweeps: int = Field(20, ge=1)
        """Of each level."""
        hot: float = Field(1.0, gt=0)
        """First temperature, in units of a cosine; a high one forgets the start."""
        cold: float = Field(0.05, gt=0)
        """Last temperature."""
        slack: float = Field(0.01, ge=0)
        """By which a side may miss its share at each split, as a share of the group."""

    name: ClassVar[str] = "ising"

    def fit(self, vectors: Float32[np.ndarray, "N D"], shelves: int, seed: int = 0) -> Partition:
        """Return a partition.

        Raises:
            Error: no shelf, fewer vectors than shelves, numbers that are not finite, or temperatures that do not fall.
        """
        vectors = checked(vectors, shelves)
        if shelves == 1:
            return finish(vectors, np.zeros(len(vectors), np.int64), 1, seed)
        directions = unit(vectors)
        count = min(self.options.neighbours, len(vectors) - 1)
        other, cosine = neighbours(directions, count, seed)
        ends = np.stack([np.repeat(np.arange(len(vectors)), count), other.ravel()], 1)
        graph, weights = make_graph(
            torch.from_numpy(ends), torch.from_numpy(cosine.ravel()).clamp(min=1e-3), len(vectors)
        )
        colour = greedy_coloring(graph)

        def split(groups: list[Int64[np.ndarray, " n"]], shares: list[float]) -> list[Split]:
            return self._cool(directions, graph, weights, colour, groups, shares, seed)

        return finish(vectors, halve(len(vectors), shelves, split), shelves, seed)

    def _cool(
        self,
        directions: Float32[np.ndarray, "N D"],
        graph: Graph,
        weights: Float[Tensor, " E"],
        colour: Int[Tensor, " N"],
        groups: list[Int64[np.ndarray, " n"]],
        shares: list[float],
        seed: int,
    ) -> list[Split]:
        """Split all groups of a level."""
        group = torch.full((graph.nodes,), -1)
        state = torch.ones(graph.nodes, 1)
        for g, (nodes, share) in enumerate(zip(groups, shares, strict=True)):
            group[nodes] = g
            state[nodes, 0] = torch.from_numpy(two_means(directions[nodes], share, seed))
        idle = group < 0
        low, high = graph.pairs.long().unbind(1)
        inside = torch.where((group[low] == group[high]) & ~idle[low], weights, 0.0)
        # Nodes that are on their shelf already are a group of their own, which nothing pulls.
        members = torch.where(idle, len(groups), group)
        energy = BalancedIsing(graph, inside, members, torch.tensor([*shares, 1.0]), self.options.gamma)
        blocks = make_blocks(energy, idle, colour, most=max(16, graph.nodes // 16))
        noise = Noise(seed, torch.tensor([len(groups)]))
        for k, beta in enumerate(cooling(self.options.hot, self.options.cold, self.options.sweeps)):
            sweep(energy, blocks, state, beta, uniforms(energy, noise, k))
        everyone = make_blocks(energy, None, torch.zeros(graph.nodes), most=graph.nodes)[0]
        pull = energy.bonds.logits(everyone, state)[everyone.nodes.argsort(), 0, 1].numpy()
        found = []
        for nodes, share in zip(groups, shares, strict=True):
            up, size = state[nodes, 0].numpy(), len(nodes)
            least, most = (share - self.options.slack) * size, (share + self.options.slack) * size
            found.append(Split(pull[nodes] + 1e-3 * up, round(min(max(int((up > 0).sum()), least), most))))
        return found


def two_means(
    vectors: Float32[np.ndarray, "n D"], share: float, seed: int, iterations: int = 4
) -> Float32[np.ndarray, " n"]:
    """Return +1 for the ``share`` of the vectors nearer to the first of two means, -1 for the others."""
    axis = principal(vectors, 6, seed)
    take = round(share * len(vectors))
    for _ in range(iterations + 1):
        spins = np.full(len(vectors), -1, np.float32)
        spins[np.argsort(-(vectors @ axis), kind="stable")[:take]] = 1
        axis = vectors[spins > 0].mean(0) - vectors[spins < 0].mean(0) if 0 < take < len(vectors) else axis
    return spins
