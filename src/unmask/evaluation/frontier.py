"""A MAUVE-like divergence of two sets of features: the area under their divergence frontier.

Both sets are quantised together into k clusters. With p and q the clusters' shares,

    frontier = { (exp(-5 KL(q | r)), exp(-5 KL(p | r))) : r = w p + (1 - w) q, 0 < w < 1 }

and the value is the area under it, in (0, 1]; 1 for equal shares (Pillutla et al. 2021, arXiv 2102.01454: features of
length 1, principal components for 90 % of the variance, k-means). Half a count is added to every cluster
(Krichevsky-Trofimov, as in Pillutla et al. 2023, arXiv 2212.14578). Symmetric in the two sets.

It is *like* MAUVE, not MAUVE: that uses GPT-2's features of thousands of texts. What it means for tens of texts is said
by the controls in ``divergence``.

Letters: N and M texts, D feature width, k clusters.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unmask.errors import Error

Reals = NDArray[np.float64]

_SCALE = 5.0
_WEIGHTS = np.linspace(1e-6, 1 - 1e-6, 25)


def divergence(
    p: Float[Tensor, "N D"], q: Float[Tensor, "M D"], *, clusters: int | None = None, seed: int = 0
) -> float:
    """Return the area under the divergence frontier of two sets of features, in (0, 1].

    Args:
        p: Features of one set.
        q: Features of the other.
        clusters: k; by default a fifth of the smaller set, at least 2.
        seed: Of k-means.

    Raises:
        Error: a set with fewer than 2 texts, or features that are not finite.
    """
    labels = quantise(p, q, clusters=clusters, seed=seed)
    return frontier_area(*shares(*labels))


def quantise(
    p: Float[Tensor, "N D"], q: Float[Tensor, "M D"], *, clusters: int | None = None, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cluster of each text of both sets, from k-means over all of them. Arguments: :func:`divergence`."""
    if min(len(p), len(q)) < 2:
        raise Error(f"a divergence of {len(p)} and {len(q)} texts means nothing; give at least 2 of each.")
    if not bool(p.isfinite().all() and q.isfinite().all()):
        raise Error("features that are not finite have no divergence; look at the judge's weights.")
    k = clusters or max(2, round(min(len(p), len(q)) / 5))
    joint = torch.cat([p, q]).double().cpu()
    joint = joint / joint.norm(dim=1, keepdim=True).clamp(min=1e-12)
    # In an order of their own, so that neither set nor any text comes first: the value is exactly symmetric.
    order = torch.from_numpy(np.lexsort(joint.numpy().T[::-1]).copy())
    labels = torch.empty(len(joint), dtype=torch.int64)
    labels[order] = kmeans(_principal(joint[order]), k, seed=seed)
    return labels[: len(p)].numpy(), labels[len(p) :].numpy()


def shares(p: NDArray[np.int64], q: NDArray[np.int64]) -> tuple[Reals, Reals]:
    """Return the smoothed shares of the clusters in two sets of labels, [k] each."""
    k = int(max(p.max(), q.max())) + 1
    counts = [np.bincount(labels, minlength=k) + 0.5 for labels in (p, q)]
    return counts[0] / counts[0].sum(), counts[1] / counts[1].sum()


def frontier_area(p: Reals, q: Reals) -> float:
    """Return the area under the divergence frontier of two distributions without zeros, [k] each."""
    mixed = _WEIGHTS[:, None] * p + (1 - _WEIGHTS[:, None]) * q
    x = np.exp(-_SCALE * (q * np.log(q / mixed)).sum(1))
    y = np.exp(-_SCALE * (p * np.log(p / mixed)).sum(1))
    x, y = np.array([0.0, *x, 1.0]), np.array([1.0, *y, 0.0])  # w = 0 and 1, where a divergence has no bound
    return (_area(x, y) + _area(y, x)) / 2


def kmeans(
    points: Float[Tensor, "N D"], clusters: int, *, seed: int = 0, restarts: int = 5, rounds: int = 100
) -> Int[Tensor, " N"]:
    """Return the cluster of each point: Lloyd's rounds from k-means++ starts, the best of several restarts.

    Args:
        points: Points.
        clusters: Most clusters; fewer if there are fewer different points.
        seed: Of the starts.
        restarts: Starts tried.
        rounds: Most rounds of each.

    Source: Arthur & Vassilvitskii 2007, "k-means++".
    """
    generator = torch.Generator().manual_seed(seed)
    best, fewest = torch.zeros(len(points), dtype=torch.int64), math.inf
    for _ in range(restarts):
        centres = _starts(points, clusters, generator)
        labels = torch.cdist(points, centres).argmin(1)
        for _ in range(rounds):
            total = torch.zeros_like(centres).index_add_(0, labels, points)
            count = torch.bincount(labels, minlength=len(centres))[:, None]
            centres = torch.where(count > 0, total / count.clamp(min=1), centres)
            after = torch.cdist(points, centres).argmin(1)
            if bool((after == labels).all()):
                break
            labels = after
        inertia = float((points - centres[labels]).square().sum())
        if inertia < fewest:
            best, fewest = labels, inertia
    return best


def _starts(points: Float[Tensor, "N D"], clusters: int, generator: torch.Generator) -> Float[Tensor, "k D"]:
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = (points - points[chosen[0]]).square().sum(1)
    while len(chosen) < clusters and float(nearest.max()) > 1e-18:
        chosen.append(int(torch.multinomial(nearest, 1, generator=generator)))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
    return points[chosen].clone()


def _principal(points: Float[Tensor, "N D"], kept: float = 0.9) -> Float[Tensor, "N d"]:
    """Project on the principal components that hold ``kept`` of the variance, then scale to length 1 again."""
    centred = points - points.mean(0)
    _, values, axes = torch.linalg.svd(centred, full_matrices=False)
    held = values.square().cumsum(0) / values.square().sum().clamp(min=1e-30)
    width = int((held < kept).sum()) + 1
    projected = centred @ axes[:width].T
    return projected / projected.norm(dim=1, keepdim=True).clamp(min=1e-12)


def _area(x: Reals, y: Reals) -> float:
    order = np.lexsort((-y, x))
    return float(np.trapezoid(y[order], x[order]))
