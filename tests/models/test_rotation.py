"""Rotations keep lengths, angles and orientation, reach what they say they reach, and learn."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.errors import Error
from unmask.models.rotation import (
    ROTATIONS,
    QuaternionRotation,
    Rotation,
    cayley,
    make_rotation,
    quaternion_product,
    skew,
)


def matrix_of(module: torch.nn.Module, size: int) -> torch.Tensor:
    """The matrix of a linear map, a column at a time."""
    return module(torch.eye(size, dtype=next(module.parameters(), torch.zeros(())).dtype))[0].T


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
@pytest.mark.parametrize(("name", "size"), [("so_n", 2), ("so_n", 3), ("so_n", 32), ("quat", 4), ("quat", 12)])
def test_every_rotation_is_orthogonal_with_determinant_one(name, size, spread, dtype, near):
    torch.manual_seed(0)
    module = make_rotation(name, size).to(dtype)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    matrix = matrix_of(module, size).detach()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size, dtype=dtype), atol=near, rtol=0)
    assert float(torch.linalg.det(matrix.double())) == pytest.approx(1, abs=1e-4)


@given(st.floats(-3.1, 3.1))
@settings(max_examples=30, deadline=None)
def test_cayley_turns_a_plane_by_twice_the_arc_tangent(angle):
    a = torch.tensor([math.tan(angle / 2)], dtype=torch.float64)
    turned = cayley(skew(a, 2))
    c, s = math.cos(angle), math.sin(angle)
    torch.testing.assert_close(turned, torch.tensor([[c, -s], [s, c]], dtype=torch.float64))


def test_cayley_reaches_what_the_exponential_reaches_but_half_turns():
    draw = torch.Generator().manual_seed(0)
    skewed = skew(torch.randn(15, generator=draw, dtype=torch.float64) * 0.5, 6)
    goal = torch.matrix_exp(skewed)
    eye = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(cayley(torch.linalg.solve(goal + eye, goal - eye)), goal)
    nearly = cayley(skew(torch.tensor([1e6], dtype=torch.float64), 2))
    torch.testing.assert_close(nearly, -torch.eye(2, dtype=torch.float64), atol=3e-6, rtol=0)


def test_quaternions_multiply_as_hamilton_said():
    one, i, j, k = torch.eye(4)
    assert torch.equal(quaternion_product(i, j), k) and torch.equal(quaternion_product(j, i), -k)
    assert torch.equal(quaternion_product(j, k), i) and torch.equal(quaternion_product(k, i), j)
    assert all(torch.equal(quaternion_product(unit, unit), -one) for unit in (i, j, k))
    p, q, r = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left = quaternion_product(quaternion_product(p, q), r)
    torch.testing.assert_close(left, quaternion_product(p, quaternion_product(q, r)))
    torch.testing.assert_close(quaternion_product(p, q).norm(dim=-1), p.norm(dim=-1) * q.norm(dim=-1))


def test_both_signs_of_a_pair_are_one_rotation_and_blocks_do_not_mix():
    torch.manual_seed(0)
    module, v = QuaternionRotation(8), torch.randn(5, 8)
    torch.nn.init.normal_(module.left)
    (turned,) = module(v)
    with torch.no_grad():
        module.left.neg_()
        module.right.neg_()
    torch.testing.assert_close(module(v)[0], turned)
    torch.testing.assert_close(module(torch.cat([v[:, :4], 0 * v[:, 4:]], 1))[0][:, 4:], torch.zeros(5, 4))
    torch.testing.assert_close(turned[:, :4].norm(dim=1), v[:, :4].norm(dim=1))


@pytest.mark.parametrize(("name", "size"), [("so_n", 5), ("quat", 8), ("identity", 5)])
def test_all_arguments_are_turned_alike_and_everything_learns(name, size):
    torch.manual_seed(0)
    module, v = make_rotation(name, size), torch.randn(3, 2, size)
    whole, part = module(v, v[1, 0])
    torch.testing.assert_close(whole[1, 0], part)
    torch.testing.assert_close(whole, v, atol=0.5, rtol=0)  # near the identity at the start
    parameters = list(module.parameters())
    assert bool(parameters) == (name != "identity")
    for grad in torch.autograd.grad((whole * torch.randn_like(whole)).sum(), parameters) if parameters else ():
        assert grad.isfinite().all() and (grad != 0).all()


def test_a_rotation_is_found_by_gradient():
    torch.manual_seed(0)
    goal = torch.matrix_exp(skew(0.5 * torch.randn(6), 4))
    module = Rotation(4)
    optimiser = torch.optim.Adam(module.parameters(), 0.1)
    for _ in range(150):
        optimiser.zero_grad()
        (module.matrix() - goal).square().sum().backward()
        optimiser.step()
    torch.testing.assert_close(module.matrix(), goal, atol=1e-2, rtol=0)


def test_autocast_does_not_make_a_rotation_inexact():
    torch.manual_seed(0)
    for name in ("so_n", "quat"):
        module, v = make_rotation(name, 8), torch.randn(4, 8)
        plain = module(v)[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(module(v)[0], plain, atol=0, rtol=0)


def test_what_cannot_be_made_is_one_line_that_says_what_can():
    with pytest.raises(Error, match="so_n, quat, identity. Did you mean 'so_n'"):
        make_rotation("so_m", 4)
    with pytest.raises(Error, match="6 is no multiple of 4"):
        make_rotation("quat", 6)
    assert set(ROTATIONS) == {"so_n", "quat", "identity"}
