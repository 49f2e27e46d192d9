r"""The Poincare ball of curvature -c: maps, gyrovector operations, distances and means, smooth in c down to c = 0.

The ball is {x: c |x|^2 < 1} with the metric lambda_x^2 |dx|^2, lambda_x = 2 / (1 - c |x|^2) (Ganea et al. 2018, arXiv
1805.09112; Ungar 2008). With a = c |x|^2, b = c |y|^2:

    exp_0(v) = T(c |v|^2) v          T(z) = tanh(sqrt z) / sqrt z       (tanh(sqrt c |v|) v / (sqrt c |v|))
    log_0(y) = A(c |y|^2) y          A(z) = artanh(sqrt z) / sqrt z
    x (+) y  = ((1 - a) s + c |s|^2 x) / ((1 - a)(1 - b) + c |s|^2)     s = x + y
    d(x, y)  = 2 r S(c r^2)          S(z) = arsinh(sqrt z) / sqrt z     r^2 = |x - y|^2 / ((1 - a)(1 - b))
    exp_x(v) = x (+) exp_0(v / (1 - a))
    log_x(y) = (1 - a) log_0(-x (+) y) = (1 - a) S(c r^2) sqrt(1 + c r^2) (-x (+) y), without artanh near 1
    mean     = n / (m + sqrt(m^2 - c |n|^2)),   n = sum_i w_i 2 x_i / (1 - a_i),  m = sum_i w_i (1 + a_i) / (1 - a_i)

T, A and S are analytic in z, and their derivatives are taken as series near 0. So all is a smooth function of x *and of
c*, c = 0 included, where space is flat: exp and log are the identity, (+) is +, the mean is the mean, and d = 2 |x - y|
as lambda = 2. A Euclidean twin is this code with c = 0. Sums and distances are written as sums of positive terms: the
usual forms, equal in exact arithmetic, cancel near the border.

**Numbers.** Half precision, autocast included, is computed in float32: bfloat16 cannot tell 1 - r from 0 below 0.004.
Points are kept at sqrt(c) |x| <= 1 - EDGE, at most 9.9 (float32) or 19 (float64) units of 1 / sqrt(c) from the origin;
what lies outside is moved there, and has no gradient along its radius. ``soft_clip`` bends long vectors earlier, with
a gradient. Tangent vectors may be any finite ones: where c |v|^2 would overflow, only their direction counts.

Every c is a tensor that broadcasts against points with their last axis at 1: a scalar, or one for each point [..., 1].

Letters: D dimensions, P and Q points.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

EDGE = {torch.float32: 1e-4, torch.float64: 1e-8}
"""How far from the border points are kept, in units of the ball's radius."""
_FAR = 1e5  # times what ends a function's curved part: from there on only the direction of a vector counts
_SERIES = 1e-2  # below, a derivative is its series: the difference in the closed form cancels
_TANH = (1, -1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925, 21844 / 6081075, -929569 / 638512875)
_ARTANH = tuple(1 / (2 * k + 1) for k in range(8))
_ARSINH = (1, -1 / 6, 3 / 40, -15 / 336, 105 / 3456, -945 / 42240, 10395 / 599040, -135135 / 9676800)
_HALF = (torch.float16, torch.bfloat16)

Given = ParamSpec("Given")
Found = TypeVar("Found")


def _in_float32(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """Compute half precision in float32, and switch autocast off."""

    @wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        device = tensors[0].device.type
        if not torch.is_autocast_enabled(device) and not any(x.dtype in _HALF for x in tensors):
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(
                *(_up(x) for x in args),  # type: ignore[arg-type]
                **{name: _up(x) for name, x in kwargs.items()},  # type: ignore[arg-type]
            )

    return call


def _up(x: object) -> object:
    return x.float() if isinstance(x, Tensor) and x.dtype in _HALF else x


class _OverRoot(torch.autograd.Function):
    """f(sqrt z) / sqrt z for z >= 0, once differentiable, with the derivative (f'(sqrt z) - value) / 2z."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, name: str) -> Tensor:
        """Return the value: 1 at 0."""
        root = z.clamp(min=1e-30).sqrt()
        found: Tensor = getattr(torch, name)(root).div_(root)
        ctx.name = name
        ctx.save_for_backward(z, found)
        return found

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of z."""
        z, found = ctx.saved_tensors
        series, slope = _SLOPES[ctx.name]
        low, near = z.clamp(max=_SERIES), torch.full_like(z, 7 * series[7])
        for k in range(6, 0, -1):
            near.mul_(low).add_(k * series[k])
        far = (slope(z, found) - found) / (2 * z).clamp(min=_SERIES)
        return above * torch.where(z < _SERIES, near, far), None


_SLOPES: dict[str, tuple[tuple[float, ...], Callable[[Tensor, Tensor], Tensor]]] = {
    "tanh": (_TANH, lambda z, f: 1 - z * f.square()),
    "atanh": (_ARTANH, lambda z, f: 1 / (1 - z)),
    "asinh": (_ARSINH, lambda z, f: (1 + z).rsqrt()),
}


def _over_root(z: Tensor, name: str) -> Tensor:
    found: Tensor = _OverRoot.apply(z, name)
    return found


def _square(x: Tensor) -> Tensor:
    return x.square().sum(-1, keepdim=True)


class _Curved(torch.autograd.Function):
    """c |v|^2, finite wherever it is below the largest number, even if |v|^2 is not (at c = 0 it is 0)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, c: Tensor) -> Tensor:
        """Return the value."""
        ctx.save_for_backward(v, c)
        square = _square(v)
        return torch.where(square.isinf(), (c * v * v).sum(-1, keepdim=True), c * square)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the gradients of v and c; c comes first in the product, so that 0 stays 0."""
        v, c = ctx.saved_tensors
        of_c = (above * v * v).sum(-1, keepdim=True).sum_to_size(c.shape) if ctx.needs_input_grad[1] else None
        return (c * above * (2 * v)).sum_to_size(v.shape), of_c


def _curved(v: Tensor, c: Tensor) -> Tensor:
    found: Tensor = _Curved.apply(v, c)
    return found


def _direction(v: Tensor, c: Tensor, most: float) -> Tensor:
    """Shorten vectors whose largest number is above ``_FAR most / sqrt(c)``, and leave the others as they are.

    The shortening is a constant of the gradient, which is right for functions of the direction: their gradient lies
    across v, and is 1 / |v| of that of the direction.
    """
    with torch.no_grad():
        shorter = (_FAR * most / c.sqrt() / v.abs().amax(-1, keepdim=True)).clamp(max=1.0)
    return v * shorter


def _gap(x: Tensor, c: Tensor) -> Tensor:
    """1 - c |x|^2, never below what a point at the border of what is kept has."""
    return (1 - c * _square(x)).clamp(min=EDGE[x.dtype])


def _inside(x: Tensor, c: Tensor) -> Tensor:
    beyond = _curved(x, c) / (1 - EDGE[x.dtype]) ** 2
    return x * beyond.clamp(min=1.0).rsqrt()


@_in_float32
def project(x: Float[Tensor, "*B D"], c: Tensor) -> Float[Tensor, "*B D"]:
    """Move points that lie outside sqrt(c) |x| <= 1 - EDGE onto it, and leave the others as they are."""
    return _inside(_direction(x, c, 1.0), c)


@_in_float32
def soft_clip(v: Float[Tensor, "*B D"], c: Tensor, most: float) -> Float[Tensor, "*B D"]:
    """Bend tangent vectors so that sqrt(c) |v| < ``most``: v / (1 + (c |v|^2 / most^2)^2)^(1/4), the identity at c = 0.

    Short ones hardly change (by one part in 4,000 at a fifth of ``most``), and long ones keep a gradient.
    """
    v = _direction(v, c, most)
    return v * (1 + (_curved(v, c) / most**2).square()).rsqrt().sqrt()


@_in_float32
def exp0(v: Float[Tensor, "*B D"], c: Tensor, scale: Tensor | float = 1.0) -> Float[Tensor, "*B D"]:
    """Return exp_0(s v), the point at distance 2 s |v| from the origin."""
    v = _direction(v * scale, c, 1.0)
    return _inside(v * _over_root(_curved(v, c), "tanh"), c)


@_in_float32
def log0(y: Float[Tensor, "*B D"], c: Tensor, scale: Tensor | float = 1.0) -> Float[Tensor, "*B D"]:
    """Return log_0(y) / s, the inverse of ``exp0`` with the same scale."""
    y = project(y, c)
    return y * _over_root(_curved(y, c), "atanh") / scale


def _add(x: Tensor, gap_x: Tensor, y: Tensor, gap_y: Tensor, c: Tensor) -> Tensor:
    total = x + y
    length = _curved(total, c)
    return (gap_x * total + length * x) / (gap_x * gap_y + length)


@_in_float32
def mobius_add(x: Float[Tensor, "*B D"], y: Float[Tensor, "*B D"], c: Tensor) -> Float[Tensor, "*B D"]:
    """Return x (+) y. Adding x from the left is an isometry that takes the origin to x; it does not commute."""
    return _inside(_add(x, _gap(x, c), y, _gap(y, c), c), c)


@_in_float32
def exp(x: Float[Tensor, "*B D"], v: Float[Tensor, "*B D"], c: Tensor) -> Float[Tensor, "*B D"]:
    """Return exp_x(v): where the geodesic that leaves x with velocity v is after time 1."""
    gap = _gap(x, c)
    v = _direction(v, c, 1.0) / gap
    z = _curved(v, c)
    shrunk = _over_root(z, "tanh")
    near = z < _SERIES
    left = torch.where(near, 1.0, z).sqrt().clamp(max=40.0).cosh().pow(-2)  # 1 - tanh^2, without the difference
    return _inside(_add(x, gap, v * shrunk, torch.where(near, 1 - z * shrunk.square(), left), c), c)


@_in_float32
def log(x: Float[Tensor, "*B D"], y: Float[Tensor, "*B D"], c: Tensor) -> Float[Tensor, "*B D"]:
    """Return log_x(y): the velocity at x with which a geodesic reaches y at time 1; lambda_x |log_x(y)| = d(x, y)."""
    gap_x, gap_y = _gap(x, c), _gap(y, c)
    z = c * _square(y - x) / (gap_x * gap_y)
    return gap_x * _over_root(z, "asinh") * (1 + z).sqrt() * _add(-x, gap_x, y, gap_y, c)


@_in_float32
def geodesic(x: Float[Tensor, "*B D"], y: Float[Tensor, "*B D"], t: Tensor | float, c: Tensor) -> Float[Tensor, "*B D"]:
    """Return x (+) t (x) (-x (+) y), the point at share t of the way from x to y. A tensor t broadcasts as c does."""
    return exp(x, log(x, y, c) * t, c)


def _length(square: Tensor, c: Tensor) -> Tensor:
    """2 r S(c r^2) of r^2, with gradient 0 where r = 0."""
    same = square == 0
    r = torch.where(same, 0.0, torch.where(same, 1.0, square).sqrt())
    return 2 * r * _over_root(c * square, "asinh")


@_in_float32
def distance(x: Float[Tensor, "*B D"], y: Float[Tensor, "*B D"], c: Tensor) -> Float[Tensor, "*B"]:
    """Return d(x, y). Where x = y its gradient is taken as 0."""
    return _length(_square(x - y) / (_gap(x, c) * _gap(y, c)), c).squeeze(-1)


@_in_float32
def distances(x: Float[Tensor, "*B P D"], y: Float[Tensor, "*B Q D"], c: Float[Tensor, ""]) -> Float[Tensor, "*B P Q"]:
    """Return d(x_p, y_q) of all pairs."""
    apart = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")  # the other mode cancels near the border
    return _length(apart.square() / (_gap(x, c) * _gap(y, c).transpose(-1, -2)), c)


@_in_float32
def midpoint(
    weights: Float[Tensor, "*B Q P"], x: Float[Tensor, "*B P D"], c: Float[Tensor, ""]
) -> Float[Tensor, "*B Q D"]:
    """Return the weighted gyro-midpoints of P points, the Lorentz centroid seen in the ball (arXiv 2006.08210, eq. 14).

    An isometry of the points moves it along with them. Only the proportions of the weights matter.

    Args:
        weights: Not negative, some above 0, for each of Q means.
        x: Points.
        c: Curvature, a scalar.
    """
    gap = _gap(x, c)
    heavy = weights @ ((2 - gap) / gap)
    total = weights @ (2 * x / gap)
    inner = heavy.square() - c * _square(total)  # (sum w)^2 or more
    least = 0.5 * weights.sum(-1, keepdim=True).square()  # rounding may take it there
    return _inside(total / (heavy + torch.maximum(inner, least).sqrt()), c)
