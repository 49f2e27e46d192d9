"""Angles tell what is similar and radii what is prominent; the forces are those of the energy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.studies.roots_routing.sphere import energy, forces, lay_out, make_pairs, principal_directions, radii
from roots.synthetic import cloud, groups
from unmask.errors import Error


def alike(directions, group):
    """Return how much nearer on the sphere a group's points are than others: the difference of mean cosines."""
    cosine = directions @ directions.T
    same = group[:, None] == group
    return cosine[same & ~np.eye(len(group), dtype=bool)].mean() - cosine[~same].mean()


def test_angles_tell_what_is_similar_and_chance_does_not():
    vectors, group = groups(4, 40)
    found = lay_out(vectors, np.ones(len(vectors)))
    assert alike(found.directions, group) > 0.8 and alike(principal_directions(vectors), group) > 0.5
    shuffled = np.random.default_rng(0).permutation(group)
    assert abs(alike(found.directions, shuffled)) < 0.1


def test_the_prominent_lie_inside_and_only_their_order_counts():
    prominence = np.random.default_rng(0).lognormal(size=50)
    found = radii(prominence)
    order = np.argsort(-prominence)
    assert (np.diff(found[order]) > 0).all() and found.min() > 0.2 and found.max() < 1
    assert (radii(prominence**3) == found).all()
    expected = 0.2 + 0.8 * ((np.arange(50) + 0.5) / 50) ** 0.5
    np.testing.assert_allclose(found[order], expected, rtol=1e-6)


def test_the_uncertain_lie_outside():
    found = radii(np.ones(10), np.linspace(0, 3, 10))
    assert (np.diff(found) > 0).all()


def test_the_layout_is_in_the_ball_and_on_the_radii():
    vectors, _ = groups(4, 20)
    prominence = np.random.default_rng(0).random(80)
    found = lay_out(vectors, prominence, inner=2, outer=5)
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), radii(prominence, inner=2, outer=5), rtol=1e-5)
    again = lay_out(vectors, prominence, inner=2, outer=5)
    assert (again.points == found.points).all()


def test_the_energy_never_rises_and_falls():
    vectors, _ = groups(4, 20, spread=0.8)
    told = lay_out(vectors, np.ones(80), sigma=0.3, steps=15).energy
    assert told == sorted(told, reverse=True) and told[-1] < told[0]


def world(seed=0):
    vectors = cloud(12, 6, seed)
    rng = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(12, 3, generator=rng, dtype=torch.float64), dim=1)
    radius, ideal = torch.rand(2, 12, generator=rng, dtype=torch.float64)
    pairs = make_pairs(vectors, 3)
    return directions, radius, ideal, pairs._replace(weights=pairs.weights.double())


@pytest.mark.parametrize("sigma", [0.4, 1.5])
def test_forces_are_minus_the_gradient_in_the_tangent_planes(sigma):
    directions, radius, ideal, pairs = world()
    u, r = directions.clone().requires_grad_(), radius.clone().requires_grad_()
    lateral, radial = torch.autograd.grad(-energy(u / u.norm(dim=1, keepdim=True), r, ideal, pairs, sigma), (u, r))
    found = forces(directions, radius, ideal, pairs, sigma)
    torch.testing.assert_close(found[0], lateral)
    torch.testing.assert_close(found[1], radial)
    assert float((found[0] * directions).sum(1).abs().max()) < 1e-12


def test_the_lateral_force_does_not_fade_with_the_radius():
    directions, radius, ideal, pairs = world()
    near, far = (forces(directions, radius * s, ideal, pairs, 0.4)[0] for s in (1, 1e4))
    assert (near == far).all() and float(near.abs().max()) > 0.1


def test_what_has_no_layout_is_refused():
    with pytest.raises(Error, match="at least five"):
        lay_out(cloud(4), np.ones(4))
    with pytest.raises(Error, match="prominence of each"):
        lay_out(cloud(8), np.ones(4))
    with pytest.raises(Error, match="inner < outer"):
        radii(np.ones(4), inner=2, outer=1)
