r"""How well points can stand for a tree: distances between its nodes, learned in a Poincare ball and in flat space.

A tree grows exponentially with its depth, and so does the volume of a hyperbolic ball with its radius: any tree fits
into two hyperbolic dimensions as well as one likes (Sarkar 2011), which flat space of few dimensions cannot offer. Two
measures (Sala et al. 2018, arXiv 1804.03329), with g the path lengths of the tree and d the distances of the points:

    distortion   mean_{i<j} |a d_ij / g_ij - 1|,     a = sum r / sum r^2,  r = d / g: the best common factor
    MAP          mean_i mean_{j ~ i} |N(i) within d_ij| / |points within d_ij of i|,   N(i): the neighbours of i

Both geometries are the same code (``unmask.models.poincare``): flat space is c = 0, else c is learned. A point is a
tangent vector v at the origin, x = exp_0(v), moved by Adam to make mean (d / g - 1)^2 small, in float64. Several runs,
each with its own learning rate and seed, are one tensor: they do not touch each other.

Letters: R runs, N nodes, D dimensions.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path
from torch import Tensor
from torch.nn import functional as F

from unmask.errors import Error
from unmask.models.poincare import distances, exp0

Parents = NDArray[np.int64]
"""The parent of each node; the root's is -1."""


def balanced_tree(branching: int, depth: int) -> Parents:
    """Return a tree whose inner nodes all have ``branching`` children, level by level."""
    nodes = sum(branching**level for level in range(depth + 1))
    return np.concatenate([[-1], (np.arange(1, nodes) - 1) // branching]).astype(np.int64)


def random_tree(nodes: int, seed: int) -> Parents:
    """Return a random recursive tree: each node's parent is drawn evenly from the nodes before it."""
    draw = np.random.default_rng(seed)
    return np.array([-1, *(draw.integers(node) for node in range(1, nodes))], dtype=np.int64)


def _line(kind: type) -> list[type]:
    """A class, its first base, the first base of that, and so on."""
    return [kind, *(_line(kind.__base__) if kind.__base__ else [])]


def class_tree(modules: Sequence[str]) -> Parents:
    """Return the classes that modules define, and what these inherit from, each under its first base; root: ``object``.

    A taxonomy that people made, as WordNet is; it differs a little between versions of Python.
    """
    found: set[type] = {object}
    for name in modules:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, type) and value.__module__.split(".")[0].lstrip("_") == name.split(".")[0]:
                found.update(_line(value))
    order = sorted(found, key=lambda kind: (len(_line(kind)), kind.__module__, kind.__qualname__))
    place = {kind: index for index, kind in enumerate(order)}
    return np.array([place[kind.__base__] if kind.__base__ else -1 for kind in order], dtype=np.int64)


def path_lengths(parents: Parents) -> Float[Tensor, "N N"]:
    """Return the number of edges between all pairs of nodes, float64."""
    child = np.flatnonzero(parents >= 0)
    edges = coo_array((np.ones(len(child)), (child, parents[child])), shape=(len(parents), len(parents)))
    found = torch.from_numpy(shortest_path(edges.tocsr(), directed=False, unweighted=True))
    if not found.isfinite().all():
        raise Error("the parents do not make one tree: some node has no path to the root; give each a parent, root -1.")
    return found


def _pairs(lengths: Tensor) -> Bool[Tensor, "N N"]:
    return torch.ones_like(lengths, dtype=torch.bool).triu(1)


def distortion(apart: Float[Tensor, "*B N N"], lengths: Float[Tensor, "N N"]) -> Float[Tensor, "*B"]:
    """Return the mean relative error of distances, after the best common factor; 0 is exact."""
    pairs = _pairs(lengths)
    ratio = apart[..., pairs] / lengths[pairs]
    factor = ratio.sum(-1, keepdim=True) / ratio.square().sum(-1, keepdim=True)
    return (factor * ratio - 1).abs().mean(-1)


def neighbour_precision(apart: Float[Tensor, "*B N N"], lengths: Float[Tensor, "N N"]) -> Float[Tensor, "*B"]:
    """Return the mean average precision of neighbours among all nodes by distance (MAP); 1 is exact.

    Nodes at the same distance count as nearer, so that points that fall together earn nothing.
    """
    neighbours = lengths == 1
    count = len(lengths)
    found = torch.zeros(apart.shape[:-2], dtype=torch.float64)
    for node in range(count):
        own = apart[..., node, :]
        near = own[..., neighbours[node], None] >= own[..., None, :]  # [*B, neighbour, N]
        near[..., node] = False
        hits = (near & neighbours[node]).sum(-1)
        found += (hits / near.sum(-1)).mean(-1).double() / count
    return found


@dataclass(frozen=True)
class Embedding:
    """Points for the nodes of a tree, for several runs.

    Attributes:
        points: In the ball, or in flat space.
        curvature: c of each run; 0: flat.
        distances: Between all nodes.
    """

    points: Float[Tensor, "R N D"]
    curvature: Float[Tensor, " R"]
    distances: Float[Tensor, "R N N"]


def embed(
    lengths: Float[Tensor, "N N"],
    dimensions: int,
    *,
    rates: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    euclidean: bool,
    learnable_curvature: bool = True,
) -> Embedding:
    """Learn points whose distances are the path lengths of a tree.

    Args:
        lengths: Path lengths.
        dimensions: D.
        rates: Adam's learning rate of each run; it falls to 0 by a cosine.
        seeds: Of the points at the start, one a run.
        steps: Adam's.
        euclidean: c is 0.
        learnable_curvature: Else c stays at 1.

    Raises:
        Error: not as many rates as seeds.
    """
    if len(rates) != len(seeds):
        raise Error(f"embed got {len(rates)} rates for {len(seeds)} seeds; give one of each a run.")
    count, pairs = len(lengths), _pairs(lengths)
    starts = [torch.randn(count, dimensions, generator=torch.Generator().manual_seed(s)).double() for s in seeds]
    tangent = [(0.1 * start).requires_grad_() for start in starts]
    raw = [torch.full((1, 1), math.log(math.expm1(1.0)), dtype=torch.float64, requires_grad=True) for _ in seeds]
    curved = not euclidean and learnable_curvature
    groups = [{"params": [v, u] if curved else [v], "lr": rate} for v, u, rate in zip(tangent, raw, rates, strict=True)]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    def current() -> Embedding:
        c = torch.zeros(len(seeds), 1, 1).double() if euclidean else F.softplus(torch.stack(raw))
        points = exp0(torch.stack(tangent), c)
        return Embedding(points, c.flatten(), distances(points, points, c))

    for _ in range(steps):
        optimiser.zero_grad()
        error = current().distances[:, pairs] / lengths[pairs] - 1
        error.square().mean(-1).sum().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return current()
