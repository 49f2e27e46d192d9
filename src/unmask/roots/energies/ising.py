"""Ising spins on a sparse graph.

    E(s) = -sum_i b_i s_i - sum_(i,j) J_ij s_i s_j,      s_i in {-1, +1}, each pair once
    logits of s_i = v:  v h_i,   h_i = b_i + sum_j J_ij s_j,     so p(s_i = +1 | rest) = sigmoid(2 beta h_i)

J > 0 makes neighbours alike (see the package). Fields and couplings may be parameters that learn (``contrastive``).

Letters: B states, N nodes, E pairs, n nodes of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from unmask.errors import Error
from unmask.roots.energies.discrete import Block
from unmask.roots.energies.graph import Graph


@dataclass(frozen=True)
class Ising:
    """An Ising energy.

    Attributes:
        graph: Who is bound to whom.
        fields: b; positive pulls a spin up.
        couplings: J, of each pair of the graph.
    """

    graph: Graph
    fields: Float[Tensor, " N"]
    couplings: Float[Tensor, " E"]

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit the graph."""
        if len(self.fields) != self.graph.nodes or len(self.couplings) != len(self.graph.pairs):
            raise Error(
                f"an Ising energy on this graph needs {self.graph.nodes} fields and {len(self.graph.pairs)} couplings, "
                f"not {len(self.fields)} and {len(self.couplings)}; make_graph returns weights in the order of pairs."
            )

    @property
    def values(self) -> Float[Tensor, " 2"]:
        """Down and up."""
        return self.fields.new_tensor([-1.0, 1.0]).detach()

    def __call__(self, state: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the energy of each state."""
        return -(state @ self.fields) - _products(self.graph, state) @ self.couplings

    def logits(self, block: Block, state: Float[Tensor, "N B"]) -> Float[Tensor, "n B 2"]:
        """Return -h and +h of each node of the block."""
        pull = F.embedding_bag(
            block.neighbours,
            state,
            block.starts,
            mode="sum",
            per_sample_weights=block.couplings,
            include_last_offset=True,
        )
        field = self.fields.detach()[block.nodes, None] + pull
        return torch.stack([-field, field], -1)


def moments(
    graph: Graph, states: Float[Tensor, "B N"], weights: Float[Tensor, " B"] | None = None
) -> tuple[Float[Tensor, " N"], Float[Tensor, " E"]]:
    """Return the means <s_i> and, for each pair of the graph, <s_i s_j>.

    Args:
        graph: Whose pairs.
        states: Of +-1.
        weights: Probabilities of the states; default: all alike.
    """
    if weights is None:
        return states.mean(0), _products(graph, states).mean(0)
    return weights @ states, weights @ _products(graph, states)


def _products(graph: Graph, states: Float[Tensor, "B N"]) -> Float[Tensor, "B E"]:
    low, high = graph.pairs.unbind(1)
    return states.index_select(1, low) * states.index_select(1, high)
