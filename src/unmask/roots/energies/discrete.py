"""What block Gibbs needs of an energy over the nodes of a graph, and the blocks of nodes that move together.

A block is a set of nodes of which no two are neighbours, so that given all others they are independent, with

    p(s_i = v | rest) = softmax_v( beta * logits_i(v) ),    logits_i(v) = -(the part of E that has s_i, at s_i = v)

States are [B, N] for callers and [N, B] inside a sweep: the chains of a node lie side by side.

Letters: B chains, N nodes, n nodes of a block, m their entries, Q values, E pairs.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.errors import Error
from unmask.roots.energies.coloring import greedy_coloring
from unmask.roots.energies.graph import Graph


class Block(NamedTuple):
    """Some nodes that are no neighbours, and what they are bound to.

    Attributes:
        nodes: Which.
        starts: Where each node's neighbours begin.
        neighbours: Of all the nodes, one node after another.
        couplings: To each neighbour.
    """

    nodes: Int[Tensor, " n"]
    starts: Int[Tensor, " n+1"]
    neighbours: Int[Tensor, " m"]
    couplings: Float[Tensor, " m"]


class Discrete(Protocol):
    """An energy over nodes that each take one of Q values: ``Ising``, ``Potts``, or a partitioner's own.

    Attributes:
        graph: Only neighbours in it may interact, else a block's nodes are not independent.
        couplings: Of each pair.
        values: What a node may be, evenly spaced and rising.
    """

    graph: Graph
    couplings: Float[Tensor, " E"]

    @property
    def values(self) -> Num[Tensor, " Q"]:
        """What a node may be."""
        ...

    def __call__(self, state: Num[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the energy of each state; differentiable in the parameters."""
        ...

    def logits(self, block: Block, state: Num[Tensor, "N B"]) -> Float[Tensor, "n B Q"]:
        """Return the logits of each value of the block's nodes, the rest as it stands."""
        ...


def make_blocks(
    energy: Discrete, clamped: Bool[Tensor, " N"] | None = None, colour: Int[Tensor, " N"] | None = None, *, most: int
) -> list[Block]:
    """Return blocks that together hold all nodes that are not clamped, each at most ``most`` of them.

    Args:
        energy: Its couplings are copied, without gradient.
        clamped: Nodes that keep their values.
        colour: Of each node; default: ``greedy_coloring`` of the graph. Give it where one graph is used many times.
        most: Nodes of a block; it bounds the memory of n x B x Q logits.
    """
    colour = greedy_coloring(energy.graph) if colour is None else colour
    order = colour.argsort(stable=True)
    if clamped is not None:
        order = order[~clamped[order]]
    _, counts = colour[order].unique_consecutive(return_counts=True)
    couplings = energy.couplings.detach()
    blocks = []
    for nodes in (piece for group in order.split(counts.tolist()) for piece in group.split(most)):
        rows = energy.graph.of(nodes)
        blocks.append(Block(nodes, rows.starts, rows.neighbours, couplings[rows.pairs]))
    return blocks


def random_states(energy: Discrete, noise: Noise) -> Num[Tensor, "B N"]:
    """Return one state a row of the noise, each node's value uniform."""
    values = energy.values
    return values[(noise.uniform("start", energy.graph.nodes) * len(values)).long()]


def checked(energy: Discrete, state: Num[Tensor, "B N"]) -> Num[Tensor, "B N"]:
    """Return the state in the type of the energy's values.

    Raises:
        Error: the shape is not [B, N], or a node has a value that the energy does not know.
    """
    if state.ndim != 2 or state.shape[1] != energy.graph.nodes:
        raise Error(f"a state must be [chains, {energy.graph.nodes}], not {list(state.shape)}.")
    if not bool(torch.isin(state, energy.values.to(state.dtype)).all()):
        raise Error(f"a state may hold only {energy.values.tolist()[:3]} ...; spins are -1 and +1, colours from 0.")
    return state.to(energy.values.dtype)
