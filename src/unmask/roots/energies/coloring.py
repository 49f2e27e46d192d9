"""Greedy colouring of a sparse graph: no two neighbours share a colour, so all nodes of a colour move at once.

Nodes are taken by falling degree (Welsh & Powell 1967), equal degrees in a fixed random order, and each gets the
smallest colour that no neighbour has: at most as many colours as the largest degree + 1. It is done in rounds: a round
colours all nodes whose neighbours before them in the order have colours. That is exactly the colouring of one node
after another, in as many rounds as the longest falling path, which random ties keep short (Jones & Plassmann 1993).

Letters: N nodes, C colours so far, n nodes of a round.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.roots.energies.graph import Graph


def coloring_order(graph: Graph) -> Int[Tensor, " N"]:
    """Return the nodes in the order in which they get their colours: by falling degree, ties by a fixed shuffle."""
    device = graph.pairs.device
    shuffled = Noise(0, torch.zeros(1, dtype=torch.int64, device=device)).uniform("ties", graph.nodes)[0].argsort()
    return shuffled[graph.degrees[shuffled].argsort(descending=True, stable=True)]


def greedy_coloring(graph: Graph) -> Int[Tensor, " N"]:
    """Return the colour of each node, from 0; O(edges) time and memory beside a table of n x C in each round."""
    order = coloring_order(graph)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(graph.nodes, device=order.device))
    low, high = graph.pairs.long().unbind(1)
    waiting = torch.bincount(torch.where(rank[low] < rank[high], high, low), minlength=graph.nodes)
    colour = torch.full_like(order, -1)
    ready = (waiting == 0).nonzero()[:, 0]
    most = 0
    while len(ready):
        rows = graph.of(ready)
        owner = torch.arange(len(ready), device=order.device).repeat_interleave(rows.starts.diff())
        neighbour = rows.neighbours.long()
        theirs = colour[neighbour]
        done = theirs >= 0
        taken = torch.zeros(len(ready), most + 1, dtype=torch.bool, device=order.device)
        taken[owner[done], theirs[done]] = True
        colour[ready] = taken.logical_not().int().argmax(1)
        most = max(most, int(colour[ready].max()) + 1)
        touched, count = neighbour[~done].unique(return_counts=True)
        waiting[touched] -= count
        ready = touched[waiting[touched] == 0]
    return colour
