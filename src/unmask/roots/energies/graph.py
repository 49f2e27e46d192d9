"""A sparse undirected graph, as pairs and as rows of neighbours; everything costs O(edges).

Row i of the rows of neighbours is neighbours[starts[i]:starts[i + 1]] (compressed sparse rows), with the number of the
pair that each entry belongs to, so that one weight a pair serves both directions and can be learned.

Letters: N nodes, E pairs, M = 2E entries, n some nodes, m their entries, R given pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.errors import Error


class Rows(NamedTuple):
    """The neighbours of some nodes: node k's are entries starts[k] to starts[k + 1].

    Attributes:
        starts: Where each node's entries begin, and where the last ends.
        neighbours: Nodes.
        pairs: The pair of each entry.
    """

    starts: Int[Tensor, " n+1"]
    neighbours: Int[Tensor, " m"]
    pairs: Int[Tensor, " m"]


@dataclass(frozen=True)
class Graph:
    """A graph of N nodes; make it with ``make_graph``.

    Attributes:
        nodes: N.
        pairs: Each pair once, smaller node first, sorted; int32.
        rows: The neighbours of all nodes; int32.
    """

    nodes: int
    pairs: Int[Tensor, "E 2"]
    rows: Rows

    @property
    def degrees(self) -> Int[Tensor, " N"]:
        """The number of neighbours of each node."""
        return self.rows.starts.diff()

    def of(self, nodes: Int[Tensor, " n"]) -> Rows:
        """Return the rows of some nodes, in their order."""
        first = self.rows.starts[nodes]
        count = self.rows.starts[nodes + 1] - first
        ends = count.cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends])
        entry = torch.arange(int(starts[-1]), device=nodes.device) + (first - starts[:-1]).repeat_interleave(count)
        return Rows(starts.int(), self.rows.neighbours[entry], self.rows.pairs[entry])


def make_graph(
    pairs: Int[Tensor, "R 2"], weights: Float[Tensor, " R"], nodes: int
) -> tuple[Graph, Float[Tensor, " E"]]:
    """Return the graph of some pairs, and the weight of each of its pairs.

    Pairs may come in any order and direction; the weights of a pair that comes several times add up. So the pairs
    (i, neighbour) of a table of nearest neighbours can be given as they are: mutual neighbours are bound twice.

    Raises:
        Error: a node is joined to itself or does not exist, or weights and pairs differ in number.
    """
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) != len(weights):
        raise Error(f"a graph needs pairs [R, 2] and weights [R], not {list(pairs.shape)} and {list(weights.shape)}.")
    if len(pairs) and not (0 <= int(pairs.min()) and int(pairs.max()) < nodes):
        raise Error(f"a pair names a node outside 0..{nodes - 1}; give the right number of nodes.")
    low, high = pairs.long().amin(1), pairs.long().amax(1)
    if bool((low == high).any()):
        raise Error("a pair joins a node to itself; leave such pairs out (the first neighbour of a point is itself).")
    keys, place = torch.unique(low * nodes + high, return_inverse=True)
    summed = weights.new_zeros(len(keys)).index_add_(0, place, weights)
    low, high = keys // nodes, keys % nodes
    # Pairs are sorted, so a stable sort by row leaves each row's neighbours rising: the smaller ones first.
    row, order = torch.cat([high, low]).int().sort(stable=True)
    degrees = torch.bincount(row, minlength=nodes)
    starts = torch.cat([degrees.new_zeros(1), degrees.cumsum(0)])
    rows = Rows(starts.int(), torch.cat([low, high]).int()[order], (order % max(1, len(low))).int())
    return Graph(nodes, torch.stack([low, high], 1).int(), rows), summed
