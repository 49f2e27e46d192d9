"""The ball's operations are the textbook's, geoopt's and mpmath's, near the border too, and flat space's at c = 0."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unmask.models import poincare
from unmask.models.poincare import (
    EDGE,
    distance,
    distances,
    exp,
    exp0,
    geodesic,
    log,
    log0,
    midpoint,
    mobius_add,
    project,
    soft_clip,
)

DTYPES = (torch.float64, torch.float32)
CURVATURES = (0.3, 1.0, 2.5)
LIMIT = {torch.float64: 1 - 1e-6, torch.float32: 0.999}
"""Radius below which the tests' tolerances hold, in units of the ball's."""


def number(c: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(c, dtype=dtype)


def points(seed: int, c: Tensor, most: float, count: int = 60, size: int = 5) -> Tensor:
    """Points at all radii up to ``most``, a quarter of them at that radius."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(count, size, generator=draw, dtype=torch.float64), dim=-1)
    radius = torch.rand(count, 1, generator=draw, dtype=torch.float64)
    radius[: count // 4] = 1
    return (x * radius * (most / c.double().sqrt())).to(c.dtype)


def stretch(x: Tensor, c: Tensor) -> Tensor:
    """lambda_x: how much longer than in flat space a step at x is."""
    return (2 / poincare._gap(x, c)).squeeze(-1)


seeds = st.integers(0, 2**31)
curvatures = st.floats(0.01, 10).map(number)
quick = settings(max_examples=12, deadline=None)


@given(seeds, curvatures)
@quick
def test_exp_and_log_undo_each_other_at_the_origin_and_elsewhere(seed: int, c: Tensor) -> None:
    x, y = points(seed, c, 0.999), points(seed + 1, c, 0.999)
    torch.testing.assert_close(exp0(log0(x, c), c), x, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(exp0(log0(x, c, 0.3), c, 0.3), x, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(exp(x, log(x, y, c), c), y, atol=1e-9, rtol=1e-9)
    v = log(x, y, c)
    torch.testing.assert_close(log(x, exp(x, v, c), c), v, atol=1e-7, rtol=1e-7)


@given(seeds, curvatures)
@quick
def test_lengths_agree(seed: int, c: Tensor) -> None:
    x, y = points(seed, c, 0.999), points(seed + 1, c, 0.999)
    origin, d = torch.zeros_like(x), distance(x, y, c)
    torch.testing.assert_close(distance(origin, x, c), 2 * log0(x, c).norm(dim=-1))  # lambda_0 = 2
    torch.testing.assert_close(distance(origin, exp0(log0(x, c) / 7, c, 3.0), c), 6 / 7 * log0(x, c).norm(dim=-1))
    torch.testing.assert_close(stretch(x, c) * log(x, y, c).norm(dim=-1), d)
    torch.testing.assert_close(d, distance(y, x, c))
    torch.testing.assert_close(distances(x, y, c).diagonal(), d)
    torch.testing.assert_close(distance(x, geodesic(x, y, 0.3, c), c), 0.3 * d, atol=1e-8, rtol=1e-7)
    torch.testing.assert_close(distance(origin, exp0(0.4 * log0(x, c), c), c), 0.4 * distance(origin, x, c))


@given(seeds, curvatures)
@quick
def test_distance_is_a_metric(seed: int, c: Tensor) -> None:
    x = points(seed, c, 1 - 1e-6, count=20)
    d = distances(x, x, c)
    assert (d.diagonal() == 0).all() and (d + torch.eye(20) > 0).all()
    assert (d[:, None, :] <= d[:, :, None] + d.T[None] + 1e-9).all()


@given(seeds, curvatures)
@quick
def test_adding_from_the_left_is_an_isometry_and_can_be_taken_back(seed: int, c: Tensor) -> None:
    a, x, y = (points(seed + i, c, 0.99) for i in range(3))
    moved = mobius_add(a, x, c), mobius_add(a, y, c)
    torch.testing.assert_close(distance(*moved, c), distance(x, y, c), atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(mobius_add(-a, moved[0], c), x, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(mobius_add(a, torch.zeros_like(a), c), a)
    torch.testing.assert_close(mobius_add(torch.zeros_like(a), a, c), a)


@given(seeds, curvatures)
@quick
def test_times_as_far_from_the_origin_is_repeated_addition(seed: int, c: Tensor) -> None:
    x = points(seed, c, 0.7)
    twice = mobius_add(x, x, c)
    torch.testing.assert_close(exp0(2 * log0(x, c), c), twice)
    torch.testing.assert_close(exp0(3 * log0(x, c), c), mobius_add(x, twice, c))


@given(seeds, curvatures)
@quick
def test_a_mean_moves_with_its_points_and_lies_half_way_between_two(seed: int, c: Tensor) -> None:
    x, a = points(seed, c, 0.9, count=6), points(seed + 1, c, 0.9, count=1)
    weights = torch.rand(4, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    there = mobius_add(a, midpoint(weights, x, c), c)
    torch.testing.assert_close(midpoint(weights, mobius_add(a, x, c), c), there, atol=1e-9, rtol=1e-9)
    half = midpoint(torch.ones(1, 2, dtype=torch.float64), x[:2], c)[0]
    torch.testing.assert_close(half, geodesic(x[0], x[1], 0.5, c), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(midpoint(5 * weights, x, c), midpoint(weights, x, c))


def test_a_mean_has_the_least_sum_of_weighted_cosh_distances() -> None:
    c, weights = number(1.7), torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
    x = points(0, c, 0.9, count=3)
    mean = midpoint(weights, x, c).requires_grad_()
    cost = (weights[0] * (distance(mean, x, c) * c.sqrt()).cosh()).sum()
    torch.testing.assert_close(torch.autograd.grad(cost, mean)[0], torch.zeros_like(mean), atol=1e-9, rtol=0)


def weights_of(x: Tensor) -> Tensor:
    return torch.linspace(0.1, 1, len(x), dtype=x.dtype).expand(2, -1)


OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "project": lambda x, y, c: project(x, c),
    "soft_clip": lambda x, y, c: soft_clip(x, c, 3.0),
    "exp0": lambda x, y, c: exp0(x, c, 0.7),
    "log0": lambda x, y, c: log0(x, c, 0.7),
    "mobius_add": mobius_add,
    "exp": exp,
    "log": log,
    "geodesic": lambda x, y, c: geodesic(x, y, 0.3, c),
    "distance": distance,
    "distances": distances,
    "midpoint": lambda x, y, c: midpoint(weights_of(x), x, c),
}


def everything(x: Tensor, y: Tensor, c: Tensor) -> dict[str, Tensor]:
    return {name: operation(x, y, c) for name, operation in OPERATIONS.items()}


def flat(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    weights = weights_of(x)
    return {
        "project": x,
        "soft_clip": x,
        "exp0": 0.7 * x,
        "log0": x / 0.7,
        "mobius_add": x + y,
        "exp": x + y,
        "log": y - x,
        "geodesic": x + 0.3 * (y - x),
        "distance": 2 * (x - y).norm(dim=-1),
        "distances": 2 * torch.cdist(x, y),
        "midpoint": weights @ x / weights.sum(-1, keepdim=True),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("c", [0.0, *(10.0**-k for k in range(4, 16, 2))])
def test_small_curvature_is_flat_space_and_zero_is_exactly(c: float, dtype: torch.dtype) -> None:
    x, y = (points(seed, number(1.0, dtype), 0.9) for seed in (0, 1))
    # 4 c: the errors are those of the series' second terms, of order c |x|^2
    near = 4 * c + (1e-12 if dtype == torch.float64 else 1e-6)
    found = everything(x, y, number(c, dtype))
    for name, expected in flat(x, y).items():
        torch.testing.assert_close(found[name], expected, atol=near, rtol=near, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_those_of_differences_in_points_and_curvature(name: str) -> None:
    x, y = (points(seed, number(1.0), 0.8, count=2, size=2).requires_grad_() for seed in (2, 3))
    for c in (1e-3, 0.5):
        assert torch.autograd.gradcheck(OPERATIONS[name], (x, y, number(c).requires_grad_()))
    assert torch.autograd.gradcheck(lambda *both: OPERATIONS[name](*both, number(0.0)), (x, y))
    c = number(0.0).requires_grad_()  # at the end of its range differences have one side
    (slope,) = torch.autograd.grad(OPERATIONS[name](x, y, c).sum(), c)
    with torch.no_grad():
        step = OPERATIONS[name](x, y, number(1e-6)).sum() - OPERATIONS[name](x, y, number(0.0)).sum()
    assert float(slope) == pytest.approx(float(step) / 1e-6, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("radius", [0.0, 1e-30, 1e-15, 1e-8, 1e-4, 0.5, "edge", 1.0, 5.0])
def test_values_and_gradients_are_finite_from_the_origin_to_beyond_the_border(
    radius: float | str, dtype: torch.dtype
) -> None:
    c = number(1.3, dtype).requires_grad_()
    size = 1 - EDGE[dtype] if radius == "edge" else float(radius)
    x = (points(0, number(1.3, dtype), 1.0) * size).detach().requires_grad_()
    for y in (x, -x, points(1, number(1.3, dtype), 0.5)):
        for name, value in everything(x, y, c).items():
            assert value.isfinite().all(), name
            found = torch.autograd.grad(value.sum(), (x, c), retain_graph=True, allow_unused=True)
            assert all(part is None or part.isfinite().all() for part in found), name


def exact_distance(x: Tensor, y: Tensor, c: float) -> float:
    """Forty digits."""
    with mpmath.workdps(40):
        a, b = ([mpmath.mpf(v) for v in z.tolist()] for z in (x, y))
        gap = [1 - mpmath.mpf(c) * mpmath.fdot(z, z) for z in (a, b)]
        apart = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
        return float(mpmath.acosh(1 + 2 * mpmath.mpf(c) * apart / (gap[0] * gap[1])) / mpmath.sqrt(c))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_distances_up_to_the_border_are_those_of_forty_digits(dtype: torch.dtype, tolerance: float) -> None:
    c = number(1.0, dtype)
    x, y = (project(points(seed, c, 1.0, count=30), c) for seed in (4, 5))
    found, paired = distance(x, y, c), distances(x, y, c).diagonal()
    for i in range(30):
        truth = exact_distance(x[i], y[i], 1.0)
        assert float(found[i]) == pytest.approx(truth, rel=tolerance)
        assert float(paired[i]) == pytest.approx(truth, rel=tolerance)
        length = float((stretch(x, c) * log(x, y, c).norm(dim=-1))[i])
        assert length == pytest.approx(truth, rel=tolerance)  # beyond twice the reach of one exp_0, too
    assert float(found.max()) > (30 if dtype == torch.float64 else 15)


def test_points_stay_inside_and_those_inside_stay_where_they_are() -> None:
    for dtype in DTYPES:
        c = number(0.7, dtype)
        x = points(0, c, 1.0, count=200)
        kept = project(3 * x, c)
        assert float((kept.norm(dim=-1) * c.sqrt()).max()) <= 1 - EDGE[dtype] / 2
        torch.testing.assert_close(project(0.99 * x, c), 0.99 * x, atol=0, rtol=0)
        assert float((exp0(1e9 * x, c).norm(dim=-1) * c.sqrt()).max()) < 1


def test_soft_clip_bounds_and_keeps_a_gradient_where_project_has_none() -> None:
    c = number(2.0)
    v = (torch.randn(50, 4, dtype=torch.float64) * 20).requires_grad_()
    clipped = soft_clip(v, c, 3.0)
    assert float((clipped.detach().norm(dim=-1) * c.sqrt()).max()) < 3
    (grad,) = torch.autograd.grad(clipped.norm(dim=-1).sum(), v)
    assert ((grad * v).sum(-1) > 0).all()
    short = v.detach() * 0.6 / (v.detach().norm(dim=-1, keepdim=True) * c.sqrt())
    torch.testing.assert_close(soft_clip(short, c, 3.0), short, atol=0, rtol=1 / 2400)


VECTORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "project": project,
    "soft_clip": lambda v, c: soft_clip(v, c, 3.0),
    "exp0": exp0,
    "log0": log0,
    "exp": lambda v, c: exp(torch.full_like(v, 0.2), v, c),
}


def exact_length(name: str, length: float, c: float, edge: float) -> float:
    """What a function of the direction makes of a length, in float64 and without overflow."""
    a = math.sqrt(c) * length
    border = (1 - edge) / math.sqrt(c) if c else math.inf
    if name == "soft_clip":
        return length * (1 + (a / 3) ** 4) ** -0.25 if a < 1e9 else 3 / math.sqrt(c)
    if name == "exp0":
        return min(math.tanh(a) / a * length if a else length, border)
    kept = min(length, border)
    return kept if name == "project" else math.atanh(math.sqrt(c) * kept) / math.sqrt(c) if c * kept else kept


@given(st.floats(-37, 38), st.sampled_from([0.0, 1e-6, 1.3, 400.0]), st.sampled_from([torch.bfloat16, *DTYPES]), seeds)
@settings(max_examples=150, deadline=None)
def test_vectors_of_any_length_have_a_finite_value_and_gradient_and_the_right_length(
    power: float, curvature: float, dtype: torch.dtype, seed: int
) -> None:
    size = 10.0 ** (power * (8 if dtype == torch.float64 else 1))
    c = number(curvature, torch.float64 if dtype == torch.float64 else torch.float32)
    v = (points(seed, number(1.0), 1.0, count=3) * size).to(dtype).requires_grad_()
    assert v.isfinite().all()
    for name, operation in VECTORS.items():
        found = operation(v, c)
        other = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        (slope,) = torch.autograd.grad((found * other.to(found.dtype)).sum(), v)
        assert found.isfinite().all() and slope.isfinite().all(), name
        if name == "exp":
            continue
        for row, made in zip(v.detach().double(), found.detach().double(), strict=True):
            length = math.hypot(*row.tolist())
            truth = exact_length(name, length, curvature, EDGE[found.dtype])
            near = 1e-5 if found.dtype == torch.float32 else 1e-12
            if name == "log0":  # near the border a rounding of the radius is 1 / EDGE as much of the result
                near /= EDGE[found.dtype]
            assert math.hypot(*made.tolist()) == pytest.approx(truth, rel=near, abs=1e-44), name
            if truth > 1e-30:
                torch.testing.assert_close(made / truth, row / length, atol=near, rtol=0)


@pytest.mark.parametrize("size", [1e-20, 1.0, 30.0, 1e9, 1.2e10, 1e19, 3e19, 1e38])
def test_the_gradient_of_a_clipped_vector_is_that_of_float64(size: float) -> None:
    v, other = (points(seed, number(1.0), 1.0, count=8) for seed in (0, 1))
    slopes = []
    for dtype in DTYPES:
        c = number(1.3, dtype).requires_grad_()
        given = (v.float() * torch.tensor(size, dtype=torch.float32)).to(dtype).requires_grad_()
        loss = (soft_clip(given, c, 3.0) * other.to(dtype)).sum()
        slopes.append(torch.autograd.grad(loss, (given, c)))
    for exact, ours in zip(*slopes, strict=True):
        scale = max(float(exact.abs().max()), 1e-30)  # what lies below may be 0 in float32
        # a gradient of 1e-38 is among the last numbers that float32 has, with few digits
        torch.testing.assert_close(
            ours.double() / scale, exact.double() / scale, atol=1e-5 if size < 1e37 else 1e-2, rtol=0
        )


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_are_computed_in_float32(half: torch.dtype) -> None:
    c = number(1.0, torch.float32)
    x, y = (points(seed, c, 0.9).to(half) for seed in (0, 1))
    plain = everything(x.float(), y.float(), c)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = everything(x.float(), y.float(), c)
    for name, value in everything(x, y, c).items():
        if name == "midpoint":  # its weights are made in the points' precision here
            continue
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, plain[name], atol=0, rtol=0)
    for name, value in inside.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, plain[name], atol=0, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("c", CURVATURES)
def test_every_operation_is_geoopts(c: float, dtype: torch.dtype) -> None:
    oracle = pytest.importorskip("geoopt.manifolds.stereographic.math", reason="needs geoopt: pip install geoopt")
    # geoopt runs in float64; its artanh ends at 1 - 1e-7, and its project at 1 - 1e-5
    curvature, k = number(c, dtype), -number(c)
    near = {torch.float64: (1e-9, 1e-9), torch.float32: (2e-4, 2e-4)}[dtype]
    for most in (0.5, 0.9, 0.99, 0.999):
        x, y = points(0, curvature, most), points(1, curvature, most)
        a, b = x.double(), y.double()
        inner = number(1.0).expand(1, 60)
        # float32: sums may lie nearer to the border than its points may, so they are compared after project
        found = {
            "exp0": (exp0(x, curvature), oracle.expmap0(a, k=k)),
            "log0": (log0(x, curvature), oracle.logmap0(a, k=k)),
            "mobius_add": (mobius_add(x, y, curvature), project(oracle.mobius_add(a, b, k=k).to(dtype), curvature)),
            "log": (log(x, y, curvature), oracle.logmap(a, b, k=k)),
            "geodesic": (geodesic(x, y, 0.3, curvature), oracle.geodesic(number(0.3), a, b, k=k)),
            "distance": (distance(x, y, curvature), oracle.dist(a, b, k=k)),
            "exp": (
                exp(x, y * (1 - most), curvature),
                project(oracle.expmap(a, b * (1 - most), k=k).to(dtype), curvature),
            ),
            "midpoint": (
                midpoint(inner.to(dtype), x, curvature)[0],
                oracle.weighted_midpoint(a, inner[0], reducedim=[0], k=k),
            ),
        }
        for name, (ours, theirs) in found.items():
            torch.testing.assert_close(
                ours.double(),
                theirs.double(),
                atol=near[0],
                rtol=near[1],
                msg=lambda m, n=f"{name} at {most}": f"{n}: {m}",
            )


def test_the_textbooks_sum_loses_what_ours_keeps() -> None:
    c = number(1.0, torch.float32)
    x = project(points(0, c, 1.0), c)
    y = -x * (1 - 2 * torch.finfo(torch.float32).eps) + 1e-6
    a, b, xy = (part.sum(-1, keepdim=True) for part in (x * x, y * y, x * y))
    textbook = ((1 + 2 * xy + b) * x + (1 - a) * y) / (1 + 2 * xy + a * b).clamp(min=1e-15)
    truth = mobius_add(x.double(), y.double(), c.double())
    ours, theirs = (float((z.double() - truth).norm(dim=-1).max()) for z in (mobius_add(x, y, c), textbook))
    assert ours < 1e-3 < 0.1 * theirs


def test_nothing_is_exported_that_no_test_asks_about() -> None:
    made = {n for n, f in vars(poincare).items() if callable(f) and getattr(f, "__module__", "") == poincare.__name__}
    assert {name for name in made if not name.startswith("_")} == set(OPERATIONS)
