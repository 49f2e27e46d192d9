r"""The WuBu stack: nested hyperbolic levels that patch vectors pass one after the other (Bytropix, mended).

    v^1   = W patch
    level i (wubu_level):  v^i, k^i -> u^i, D^i, a^i
    v^i+1 = T(R u^i),   b'' = T(R b^i),   l'' = T(R l^i)              one rotation R and one map T for all three
    k^i+1 = [ sum_j a_j (v - b''_j) ; l'' ; sigma^i ; D^i ]           relative vectors, descriptor, spread, distances
    out   = W [ u^1 ; D^1 ; ... ; u^L ; D^L ]                         ``concat_tangent``

The boundary points b_j and the descriptor l are those of level i, as tangent vectors. The sum over boundary points is
weighted by nearness a_pj: weighted alike, as in Bytropix, mean_j(v - b_j) is v - mean(b), so that all b_j are one
point. ``sum`` is J times the mean. The distances of *every* level reach the output, so that the last level's boundary
points, descriptor and spread have a consumer too.

With ``causal`` a patch sees itself and earlier ones; padding is never seen, nor are other pieces of a packed row. With
``euclidean`` c is 0, and the same code is a flat network of the same sizes: means, differences, Gaussian-like
attention.

Letters: B batch, P patches, D width of a patch vector, O of the output, L levels, n dimensions of a level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unmask.models.rotation import make_rotation, quaternion_product
from unmask.models.wubu_config import WubuOptions
from unmask.models.wubu_level import LevelState, WubuLevel, mlp
from unmask.models.wubu_past import LevelPast, WubuPast


class QuaternionLinear(nn.Module):
    """A linear map of quaternions: each block of four outputs sums w x over the blocks of inputs, D O / 4 numbers."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs // 4, inputs // 4, 4) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B O"]:
        """Apply it."""
        units = torch.eye(4, dtype=self.weight.dtype, device=self.weight.device)
        columns = quaternion_product(self.weight[..., None, :], units)  # w e_k: [o, i, k, 4]
        matrix = columns.permute(0, 3, 1, 2).flatten(2).flatten(0, 1)
        return nn.functional.linear(x, matrix, self.bias)


def _last(part: nn.Module) -> nn.Module:
    """Return the map whose output a part gives."""
    return part[-1] if isinstance(part, nn.Sequential) else part


def _transform(options: WubuOptions, level: int) -> nn.Module:
    before, after = options.hyperbolic_dims[level : level + 2]
    kind = options.transform_types[level]
    if kind == "mlp":
        hidden = options.transform_hidden_dims[level] or max(8, (before + after) // 2)
        return mlp(before, hidden, after, options.dropout)
    return QuaternionLinear(before, after) if kind == "quat" else nn.Linear(before, after)


class Transition(nn.Module):
    """From level i to level i + 1: T(R .) of the vectors, the boundary points and the descriptor."""

    def __init__(self, options: WubuOptions, level: int) -> None:
        super().__init__()
        self.options = options
        self.rotation = make_rotation(options.rotation_types[level], options.hyperbolic_dims[level])
        self.transform = _transform(options, level)

    def forward(self, state: LevelState, level: WubuLevel) -> tuple[Float[Tensor, "B P n"], Float[Tensor, "B P E"]]:
        """Return v and the context k of the next level."""
        options = self.options
        marks = [level.boundary] + ([level.descriptor] if options.use_level_descriptors else [])
        v, boundary, *descriptor = (self.transform(part) for part in self.rotation(state.tangent, *marks))
        context = []
        if options.relative_vector_aggregation != "none":
            relative = v - state.near.to(v.dtype) @ boundary.to(v.dtype)  # the weights sum to 1
            context.append(relative * (len(boundary) if options.relative_vector_aggregation == "sum" else 1))
        context += [part.expand_as(v) for part in descriptor]
        if options.use_level_spread:
            context.append(level.sigma.expand_as(v[..., :1]))
        return v, torch.cat([*context, state.distances], -1)


def context_size(options: WubuOptions, level: int) -> int:
    """Return the width of what a level is told by the one before it (E); 0 for the first."""
    if level == 0:
        return 0
    vectors = (options.relative_vector_aggregation != "none") + options.use_level_descriptors
    return vectors * options.hyperbolic_dims[level] + options.use_level_spread + _marks(options, level - 1)


def _marks(options: WubuOptions, level: int) -> int:
    return options.boundary_points_per_level[level] + options.use_level_descriptors


class WubuStack(nn.Module):
    """Nested levels over patch vectors.

    Args:
        options: What levels there are.
        inputs: Width of a patch vector (D).
        outputs: Width of the output (O).
    """

    def __init__(self, options: WubuOptions, inputs: int, outputs: int) -> None:
        super().__init__()
        self.options = options
        count, sizes = options.num_levels, options.hyperbolic_dims
        self.enter = nn.Linear(inputs, sizes[0])
        self.levels = nn.ModuleList(WubuLevel(options, level, context_size(options, level)) for level in range(count))
        self.transitions = nn.ModuleList(Transition(options, level) for level in range(count - 1))
        self.leave = nn.Linear(sum(sizes) + sum(_marks(options, level) for level in range(count)), outputs)
        self.initialise()

    def initialise(self) -> None:
        """Draw the linear maps: what makes tangent vectors gives them a length near 1, whatever their dimensions.

        With PyTorch's own draw a vector of 128 numbers is about 6 long, and all points begin at the border, where
        distances are rounding errors and gradients nothing.
        """
        short = {id(self.enter)}
        for level in self.levels:
            short |= {id(_last(part)) for part in (level.combine, level.flow) if part is not None}
        short |= {id(_last(transition.transform)) for transition in self.transitions}
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = (module.in_features * (module.out_features if id(module) in short else 1)) ** -0.5
                nn.init.uniform_(module.weight, -bound, bound)
                nn.init.zeros_(module.bias)
            elif isinstance(module, QuaternionLinear):
                outputs, inputs, _ = module.weight.shape
                nn.init.normal_(module.weight, std=(16 * inputs * outputs) ** -0.5)

    def states(
        self,
        patches: Float[Tensor, "B P D"],
        valid: Bool[Tensor, "B P"] | None = None,
        segments: Int[Tensor, "B P"] | None = None,
        causal: bool = True,
    ) -> list[LevelState]:
        """Return what each level makes of the patches; for arguments see ``forward``."""
        return self._states(patches, visible(patches, valid, segments, causal), [None] * len(self.levels))

    def _states(
        self, patches: Float[Tensor, "B P D"], seen: Bool[Tensor, "#B P Q"], pasts: Sequence[LevelPast | None]
    ) -> list[LevelState]:
        v, context = self.enter(patches), None
        found = [self.levels[0](v, context, seen, pasts[0])]
        for number, transition in enumerate(self.transitions):
            v, context = transition(found[-1], self.levels[number])
            found.append(self.levels[number + 1](v, context, seen, pasts[number + 1]))
        return found

    def forward(
        self,
        patches: Float[Tensor, "B P D"],
        valid: Bool[Tensor, "B P"] | None = None,
        segments: Int[Tensor, "B P"] | None = None,
        causal: bool = True,
    ) -> Float[Tensor, "B P O"]:
        """Return a vector for each patch.

        Args:
            patches: Patch vectors.
            valid: False at padding; what is returned there is finite and means nothing. ``None``: all are patches.
            segments: Document piece of each patch; pieces do not see each other. ``None``: a row is one.
            causal: A patch sees itself and what is before it; else all of its piece.
        """
        return self._left(self.states(patches, valid, segments, causal))

    def grown(
        self, patches: Float[Tensor, "B n D"], at: Int[Tensor, "B n"], count: int, past: WubuPast
    ) -> Float[Tensor, "B n O"]:
        """Return the vectors of patches that follow those of ``past``, which takes them in; a patch sees earlier ones.

        Args:
            patches: New patches.
            at: Their numbers in their text.
            count: Patches of the text that has most, the new ones included.
            past: Those before them.
        """
        seen = torch.arange(count, device=at.device) <= at[:, :, None]
        pasts = [LevelPast(answers, points, at) for answers, points in zip(past.answers, past.points, strict=True)]
        return self._left(self._states(patches, seen, pasts))

    def _left(self, states: Sequence[LevelState]) -> Float[Tensor, "B P O"]:
        parts = [part for state in states for part in (state.tangent, state.distances)]
        result: Tensor = self.leave(torch.cat(parts, -1))
        return result


def visible(
    patches: Float[Tensor, "B P D"],
    valid: Bool[Tensor, "B P"] | None,
    segments: Int[Tensor, "B P"] | None,
    causal: bool,
) -> Bool[Tensor, "#B P P"]:
    """Return which patches each sees; padding sees itself, so that no softmax is empty."""
    count, device = patches.shape[1], patches.device
    seen = torch.ones(1, count, count, dtype=torch.bool, device=device)
    seen = seen.tril() if causal else seen
    if segments is not None:
        seen = seen & (segments[:, :, None] == segments[:, None, :])
    if valid is not None:
        seen = (seen & valid[:, None, :]) | torch.eye(count, dtype=torch.bool, device=device)
    return seen
