"""Potts spins, which take one of Q values, on a sparse graph.

    E(s) = -sum_i b_i(s_i) - sum_(i,j) J_ij [s_i = s_j],     s_i in 0 .. Q-1, each pair once
    logits of s_i = v:  b_i(v) + sum_j J_ij [s_j = v]

With Q = 2 it is an Ising energy with half the coupling, up to a constant: J_Potts = 2 J_Ising, b(1) - b(0) = 2 b_Ising.

Letters: B states, N nodes, E pairs, n nodes of a block, m their entries, Q values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.errors import Error
from unmask.roots.energies.discrete import Block
from unmask.roots.energies.graph import Graph


@dataclass(frozen=True)
class Potts:
    """A Potts energy.

    Attributes:
        graph: Who is bound to whom.
        fields: b of each node and value; positive makes the value likely.
        couplings: J, of each pair; positive makes neighbours equal.
    """

    graph: Graph
    fields: Float[Tensor, "N Q"]
    couplings: Float[Tensor, " E"]

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit the graph."""
        nodes, pairs = self.graph.nodes, len(self.graph.pairs)
        if self.fields.ndim != 2 or len(self.fields) != nodes or len(self.couplings) != pairs:
            raise Error(
                f"a Potts energy on this graph needs fields [{nodes}, values] and {pairs} couplings, "
                f"not {list(self.fields.shape)} and {len(self.couplings)}."
            )

    @property
    def values(self) -> Int[Tensor, " Q"]:
        """0 .. Q-1."""
        return torch.arange(self.fields.shape[1], device=self.fields.device)

    def __call__(self, state: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the energy of each state."""
        low, high = self.graph.pairs.unbind(1)
        alike = state.index_select(1, low) == state.index_select(1, high)
        own = self.fields.T.gather(0, state)
        return -own.sum(1) - alike.to(self.couplings.dtype) @ self.couplings

    def logits(self, block: Block, state: Int[Tensor, "N B"]) -> Float[Tensor, "n B Q"]:
        """Return the logits of each value; time and memory do not grow with edges times Q."""
        n, chains, count = len(block.nodes), state.shape[1], self.fields.shape[1]
        owner = torch.arange(n, device=state.device).repeat_interleave(block.starts.diff())
        cell = (owner[:, None] * chains + torch.arange(chains, device=state.device)) * count
        cell = cell + state.index_select(0, block.neighbours)
        pull = block.couplings.new_zeros(n * chains * count)
        pull.index_add_(0, cell.flatten(), block.couplings[:, None].expand(-1, chains).flatten())
        return self.fields.detach()[block.nodes, None] + pull.view(n, chains, count)
