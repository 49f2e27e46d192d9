"""Where a collection's texts lie in a ball: the prominent inside, the similar side by side.

    radius   r*_i = inner + (outer - inner) ((rank_i + 1/2) / N)^power,   rank 0: the most prominent
    energy   E = sum_i (r_i - r*_i)^2 - sum_(i,j) w_ij exp( -t_ij^2 / sigma^2 )

t_ij is the angle between neighbours i, j on the unit sphere, in radians, w_ij their cosine in the data. So the lateral
force does not depend on the radius: it pulls along the great circle with w 2t/sigma^2 exp(-t^2/sigma^2). Angles begin
at the leading eigenvectors of the neighbours' graph; no point moves more than ``stride`` radians a step.

Prominence is divided by 1 + H, so that the uncertain are outside. There is no repulsion in E: steps sharpen groups and
in the end collapse them, so a few are enough.

Letters: N points, D dimensions, E pairs of neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import eigsh
from torch import Tensor

from unmask.errors import Error
from unmask.roots.energies.graph import make_graph
from unmask.roots.partition.neighbours import neighbours
from unmask.roots.partition.partitioner import unit


class Pairs(NamedTuple):
    """Neighbours in the data.

    Attributes:
        ends: Each pair once.
        weights: Cosines, twice for mutual neighbours.
    """

    ends: Int[Tensor, "E 2"]
    weights: Float[Tensor, " E"]


class Layout(NamedTuple):
    """Points in the ball.

    Attributes:
        directions: On the unit sphere.
        radius: Of each.
        energy: Before each step, and at the end.
    """

    directions: Float32[np.ndarray, "N 3"]
    radius: Float32[np.ndarray, " N"]
    energy: list[float]

    @property
    def points(self) -> Float32[np.ndarray, "N 3"]:
        """In space."""
        found: Float32[np.ndarray, "N 3"] = self.directions * self.radius[:, None]
        return found


def radii(
    prominence: Float[np.ndarray, " N"],
    entropy: Float[np.ndarray, " N"] | None = None,
    *,
    inner: float = 0.2,
    outer: float = 1.0,
    power: float = 0.5,
) -> Float32[np.ndarray, " N"]:
    """Return r*: by rank, so only the order of the prominences counts; of equals the first is further inside.

    Args:
        prominence: Larger is further inside.
        entropy: H of each in nats, at least 0; more is further outside. Default: it plays no part.
        inner: Least radius.
        outer: Largest radius.
        power: 1/2 as in the original; 1 spaces radii evenly, 1/3 fills the ball evenly.

    Raises:
        Error: the radii do not rise from inside, or the power is not positive.
    """
    if not (0 <= inner < outer and power > 0):
        raise Error(f"a ball needs 0 <= inner < outer and a positive power, not {inner}, {outer}, {power}.")
    weight = np.asarray(prominence, np.float64) / (1 if entropy is None else 1 + np.asarray(entropy, np.float64))
    rank = np.empty(len(weight))
    rank[np.argsort(-weight, kind="stable")] = np.arange(len(weight))
    return (inner + (outer - inner) * ((rank + 0.5) / max(1, len(weight))) ** power).astype(np.float32)


def make_pairs(vectors: Float32[np.ndarray, "N D"], count: int = 10, seed: int = 0) -> Pairs:
    """Return the pairs of each vector and its ``count`` nearest by angle."""
    directions = unit(np.asarray(vectors, np.float32))
    count = min(count, len(vectors) - 1)
    other, cosine = neighbours(directions, count, seed)
    ends = np.stack([np.repeat(np.arange(len(vectors)), count), other.ravel()], 1)
    graph, weights = make_graph(torch.from_numpy(ends), torch.from_numpy(cosine.ravel()).clamp(min=0), len(vectors))
    return Pairs(graph.pairs.long(), weights)


def principal_directions(vectors: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N 3"]:
    """Return the three leading principal coordinates, scaled to length 1."""
    centred = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return _on_sphere(centred @ axes[:, -3:][:, ::-1])


def spectral_directions(pairs: Pairs, count: int) -> Float32[np.ndarray, "N 3"]:
    """Return the three leading eigenvectors of the neighbours' graph after the constant, scaled to length 1.

    They are those of the normalised adjacency (Shi & Malik 2000); groups that no pair joins are apart in them.
    """
    low, high = pairs.ends.T.numpy()
    weight = pairs.weights.double().numpy() + 1e-6
    ends = (np.concatenate([low, high]), np.concatenate([high, low]))
    adjacency = coo_array((np.tile(weight, 2), ends), (count, count)).tocsr()
    scale = diags_array(1 / np.sqrt(np.maximum(adjacency.sum(1), 1e-12)))
    start = np.random.default_rng(0).standard_normal(count)
    values, vectors = eigsh(scale @ adjacency @ scale, k=4, which="LA", v0=start)
    vectors = vectors[:, np.argsort(-values)[1:]]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), [0, 1, 2]])
    return _on_sphere((scale @ vectors).astype(np.float32))


def energy(
    directions: Float[Tensor, "N 3"],
    radius: Float[Tensor, " N"],
    ideal: Float[Tensor, " N"],
    pairs: Pairs,
    sigma: float,
) -> Float[Tensor, ""]:
    """Return E; differentiable where no two neighbours coincide."""
    angle = _angles(directions, pairs)[0]
    return (radius - ideal).square().sum() - (pairs.weights * (-(angle**2) / sigma**2).exp()).sum()


def forces(
    directions: Float[Tensor, "N 3"],
    radius: Float[Tensor, " N"],
    ideal: Float[Tensor, " N"],
    pairs: Pairs,
    sigma: float,
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Return -grad E: in the tangent planes of the unit sphere, and along the radius."""
    angle, cosine = _angles(directions, pairs)
    low, high = pairs.ends.T
    # t / sin t is 1 at contact; near the antipode the exponential wins only if sigma is small, so it is bounded.
    pull = 2 * pairs.weights / sigma**2 * (-(angle**2) / sigma**2).exp() / torch.sinc(angle / torch.pi).clamp(min=1e-3)
    found = torch.zeros_like(directions)
    found.index_add_(0, low, pull[:, None] * (directions[high] - cosine[:, None] * directions[low]))
    found.index_add_(0, high, pull[:, None] * (directions[low] - cosine[:, None] * directions[high]))
    return found, -2 * (radius - ideal)


def lay_out(
    vectors: Float32[np.ndarray, "N D"],
    prominence: Float[np.ndarray, " N"],
    *,
    sigma: float = 0.1,
    steps: int = 20,
    stride: float = 0.05,
    inner: float = 0.2,
    outer: float = 1.0,
    seed: int = 0,
) -> Layout:
    """Return the layout of a collection.

    Args:
        vectors: Of the texts; their angles count.
        prominence: Of each; a larger one lies further inside.
        sigma: Reach of the lateral force, in radians.
        steps: Downhill; 0 leaves the eigenvectors as they are.
        stride: The furthest that a point moves in one step, in radians.
        inner: Least radius.
        outer: Largest radius.
        seed: Of the neighbours, where they are found approximately.

    Raises:
        Error: fewer than five texts, prominences that do not fit, or radii that do not rise.
    """
    if len(vectors) < 5 or len(prominence) != len(vectors):
        raise Error(f"a layout needs at least five texts and a prominence of each, not {len(vectors)}.")
    pairs = make_pairs(vectors, seed=seed)
    ideal = torch.from_numpy(radii(prominence, inner=inner, outer=outer))
    directions = torch.from_numpy(spectral_directions(pairs, len(vectors)))
    told = [float(energy(directions, ideal, ideal, pairs, sigma))]
    step = 1.0
    for _ in range(steps):
        lateral, _ = forces(directions, ideal, ideal, pairs, sigma)
        while step > 1e-6:  # halved until E falls, so that it never rises
            move = step * lateral
            length = move.norm(dim=1, keepdim=True)
            move = move * (stride / length.clamp(min=stride))
            moved = _along(directions, move)
            after = float(energy(moved, ideal, ideal, pairs, sigma))
            if after <= told[-1]:
                break
            step /= 2
        else:
            break
        directions = moved
        told.append(after)
    # The radial part of E has its minimum at r* whatever the angles are.
    return Layout(directions.numpy(), ideal.numpy(), told)


def _along(directions: Float[Tensor, "N 3"], move: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
    """Return the points after walking tangent vectors along great circles."""
    length = move.norm(dim=1, keepdim=True)
    moved = length.cos() * directions + torch.sinc(length / torch.pi) * move
    found: Tensor = moved / moved.norm(dim=1, keepdim=True)
    return found


def _angles(directions: Float[Tensor, "N 3"], pairs: Pairs) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    low, high = directions[pairs.ends[:, 0]], directions[pairs.ends[:, 1]]
    cosine = (low * high).sum(1)
    # atan2 keeps its precision at 0, where acos loses half the digits.
    return torch.atan2(torch.linalg.cross(low, high).norm(dim=1), cosine), cosine


def _on_sphere(points: Float[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    found = unit(np.asarray(points, np.float32))
    found[np.linalg.norm(found, axis=1) < 0.5] = [0, 0, 1]
    return found
