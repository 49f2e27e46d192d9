r"""One level of the WuBu stack: a Poincare ball with a curvature, scale, spread, landmarks and a descriptor of its own.

A level takes tangent vectors at the origin and gives tangent vectors back; what makes it more than a round trip happens
in the ball, where the curvature c is felt. With s the scale, sigma the spread, k the context from the level before:

    v    <- v + MLP([v; k]),   v <- v + f F(v)               combine; tangent flow
    x_p   = g (+) exp_0(s v_p)                               Moebius shift by a learned point g: an isometry
    w_pq  = softmax_q(-beta d(exp_0(W_q v_p), exp_0(W_k v_q)) - gamma |p - q|)       over the patches q that p may see
    y_p   = x_p (+) r (x) (-x_p (+) mean_q(w_pq, x_q))       a step r along the geodesic to the gyro-midpoint
    D_pj  = d(y_p, b_j) / sigma,   a_pj = softmax_j(-D_pj)   distances to boundary points b_j, and which of them is near
    v'_p  = log_0(y_p) / s

Attention by distance and hyperbolic means are Gulcehre et al. 2018 (arXiv 1805.09786). Tangent vectors are bent to
sqrt(c) |v| < REACH (the shift: < 1), so that float32 resolves all points. c, s and sigma are softplus(u) + minimum, and
u begins at the inverse, so that they begin at their stated values.

Letters: B batch, P patches, n dimensions of the level, J boundary points, E width of the context.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.models.poincare import distances, exp0, geodesic, log0, midpoint, mobius_add, soft_clip
from unmask.models.wubu_config import WubuOptions
from unmask.models.wubu_past import LevelPast

REACH = 3.0
"""Bound of sqrt(c) |v| for points; a shift adds at most 1. Float32 points end at 4.95 (``poincare.EDGE``)."""
_SPREAD_OUT = 0.5  # length of boundary points at the start, in units of the ball's radius: close ones collapse


class LevelState(NamedTuple):
    """What a level made of each patch.

    Attributes:
        tangent: v', what goes on.
        points: y, in the ball.
        distances: D: to the boundary points, then to the descriptor if there is one, in units of the spread.
        near: a, the weights of the boundary points.
    """

    tangent: Float[Tensor, "B P n"]
    points: Float[Tensor, "B P n"]
    distances: Float[Tensor, "B P j"]
    near: Float[Tensor, "B P J"]


class Positive(nn.Module):
    """softplus(u) + least, which begins at ``initial``; a parameter or, if not learnable, a buffer."""

    raw: Tensor

    def __init__(self, initial: float, least: float, learnable: bool) -> None:
        super().__init__()
        self.least = least
        above = initial - least
        raw = torch.tensor(above + math.log(-math.expm1(-above)))  # the inverse of softplus
        if learnable:
            self.raw = nn.Parameter(raw)
        else:
            self.register_buffer("raw", raw)

    def forward(self) -> Float[Tensor, ""]:
        """Return the value, in float32 at least."""
        raw = self.raw if self.raw.dtype == torch.float64 else self.raw.float()
        return F.softplus(raw) + self.least


def mlp(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Module:
    """Linear, LayerNorm, GELU, dropout, Linear: the map that Bytropix uses everywhere."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
    )


def _flow(options: WubuOptions, size: int) -> nn.Module | None:
    if options.flow == "mlp":
        return mlp(size, max(8, round(options.tangent_flow_hidden_dim_ratio * size)), size, options.dropout)
    return nn.Linear(size, size) if options.flow == "linear" else None


class Mixing(nn.Module):
    """Patches see each other: each moves towards the gyro-midpoint of those that it attends to, by distance."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(size, size), nn.Linear(size, size)
        self.sharpness = Positive(1.0, 0.0, learnable=True)
        self.slope = Positive(0.1, 0.0, learnable=True)
        self.step = nn.Parameter(torch.zeros(()))

    def forward(
        self,
        x: Float[Tensor, "B P n"],
        v: Float[Tensor, "B P n"],
        c: Float[Tensor, ""],
        seen: Bool[Tensor, "#B P Q"],
        past: LevelPast | None = None,
    ) -> Float[Tensor, "B P n"]:
        """Return y. ``seen`` is True where patch p may see patch q; each sees one at least. Q is P without a past."""
        asks, answers = (exp0(soft_clip(part(v).to(x.dtype), c, REACH), c) for part in (self.query, self.key))
        others, places = x, torch.arange(x.shape[1], device=x.device)[None]
        if past is not None:
            places = past.at
            answers, others = past.take(answers, x, seen.shape[-1])
        apart = (places[:, :, None] - torch.arange(seen.shape[-1], device=x.device)).abs()
        score = -self.sharpness() * distances(asks, answers, c) - self.slope() * apart.to(x.dtype)
        weights = score.masked_fill(~seen, -torch.inf).softmax(-1)
        return geodesic(x, midpoint(weights, others, c), self.step.to(x.dtype).sigmoid(), c)


class WubuLevel(nn.Module):
    """A level, for tangent vectors of its own dimensions.

    Args:
        options: Of the stack.
        level: Its number, from 0.
        context: Width of what comes from the level before (E); 0: there is none.
    """

    flat: Tensor

    def __init__(self, options: WubuOptions, level: int, context: int) -> None:
        super().__init__()
        self.options = options
        size = options.hyperbolic_dims[level]
        if options.euclidean:
            self.register_buffer("flat", torch.zeros(()))
        else:
            curvature, least = options.initial_curvatures[level], options.curvature_min_value
            self.curvature = Positive(curvature, least, options.learnable_curvature)
        self.scale = Positive(options.initial_scales[level], options.scale_min_value, options.learnable_scales)
        if options.use_level_spread:
            self.spread = Positive(options.spreads[level], options.spread_min_value, options.learnable_spread)
        radius = _SPREAD_OUT / math.sqrt(options.initial_curvatures[level])
        directions = F.normalize(torch.randn(options.boundary_points_per_level[level], size), dim=-1)
        self.boundary = nn.Parameter(radius / options.initial_scales[level] * directions)
        if options.use_level_descriptors:
            self.descriptor = nn.Parameter(options.level_descriptor_init_scale * torch.randn(size))
        self.shift = nn.Parameter(0.1 * radius * F.normalize(torch.randn(size), dim=-1))
        self.combine = mlp(size + context, options.combiner_hidden_dim, size, options.dropout)
        self.flow = _flow(options, size)
        self.mixing = Mixing(size) if options.patch_attention else None

    @property
    def c(self) -> Float[Tensor, ""]:
        """The curvature is -c."""
        return self.flat if self.options.euclidean else self.curvature()

    @property
    def sigma(self) -> Float[Tensor, ""]:
        """The spread."""
        return self.spread() if self.options.use_level_spread else self.boundary.new_ones(())

    def landmarks(self) -> Float[Tensor, "j n"]:
        """Return the boundary points and, behind them, the descriptor if there is one, in the ball."""
        own = [self.descriptor[None]] if self.options.use_level_descriptors else []
        dtype, c = self.scale().dtype, self.c
        return exp0(soft_clip(self.scale() * torch.cat([self.boundary, *own]).to(dtype), c, REACH), c)

    def forward(
        self,
        v: Float[Tensor, "B P n"],
        context: Float[Tensor, "B P E"] | None,
        seen: Bool[Tensor, "#B P Q"],
        past: LevelPast | None = None,
    ) -> LevelState:
        """Return what the level makes of the tangent vectors.

        Args:
            v: Tangent vectors at the origin.
            context: From the level before.
            seen: True where patch p may see patch q; each sees one at least.
            past: Earlier patches, if these are only the new ones.
        """
        v = v + self.combine(v if context is None else torch.cat([v, context.to(v.dtype)], -1))
        if self.flow is not None:
            v = v + self.options.tangent_flow_scale * self.flow(v)
        c, s = self.c, self.scale()
        v = v.to(s.dtype)
        shift = exp0(soft_clip(self.shift.to(s.dtype), c, 1.0), c)
        y = mobius_add(shift, exp0(soft_clip(s * v, c, REACH), c), c)
        if self.mixing is not None:
            y = self.mixing(y, v, c, seen, past)
        apart = distances(y, self.landmarks(), c) / self.sigma
        count = len(self.boundary)
        near = (-apart[..., :count]).softmax(-1)
        if not self.options.boundary_attention:
            near = torch.full_like(near, 1 / count)
        return LevelState(log0(y, c, s), y, apart, near)
