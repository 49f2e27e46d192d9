"""The stack's levels do work in the ball: curvature counts, all that is learnable learns, no patch sees the future."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from unmask.models.wubu import QuaternionLinear, WubuStack
from unmask.models.wubu_config import WubuOptions
from unmask.models.wubu_level import Positive, WubuLevel

SMALL = {"num_levels": 3, "hyperbolic_dims": (8, 4, 4), "boundary_points_per_level": (3, 2, 4), "dropout": 0.0}
D, O = 10, 7  # noqa: E741

VARIANTS = {
    "as given": {},
    "euclidean": {"euclidean": True},
    "quat": {"rotation_types": ("quat", "quat"), "transform_types": ("quat", "quat")},
    "linear": {
        "rotation_types": ("so_n", "identity"),
        "transform_types": ("linear", "mlp"),
        "tangent_flow_type": "linear",
    },
    "sum": {"relative_vector_aggregation": "sum", "transform_hidden_dims": (5, None)},
    "none": {"relative_vector_aggregation": "none", "use_tangent_flow": False},
    "bare": {"use_level_descriptors": False, "use_level_spread": False, "tangent_flow_type": "none"},
    "original": {"boundary_attention": False, "patch_attention": False},
    "fixed": {"learnable_curvature": False, "learnable_scales": False, "learnable_spread": False},
    "plane": {"hyperbolic_dims": (2, 2, 2)},
    "one level": {"num_levels": 1, "hyperbolic_dims": (8,), "boundary_points_per_level": (3,)},
}


def make(seed: int = 0, **changes: object) -> WubuStack:
    torch.manual_seed(seed)
    return WubuStack(WubuOptions(**{**SMALL, **changes}), D, O)


@pytest.fixture
def patches() -> torch.Tensor:
    return torch.randn(2, 6, D, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_every_parameter_learns(changes, patches):
    stack = make(**changes)
    out = stack(patches)
    assert out.shape == (2, 6, O)
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in stack.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("changes", [{}, {"patch_attention": False}, {"use_level_descriptors": False}])
@pytest.mark.parametrize("key", ["initial_curvatures", "initial_scales", "initial_spread_values"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_curvature_scale_and_spread_of_each_level_change_the_output(key, level, changes, patches):
    values = [1.0, 1.0, 1.0]
    stack = make(**changes, **{key: values})
    values[level] = 1.5
    other = make(**changes, **{key: values})
    part = {"initial_curvatures": "curvature", "initial_scales": "scale", "initial_spread_values": "spread"}[key]
    state = stack.state_dict()
    state[f"levels.{level}.{part}.raw"] = other.state_dict()[f"levels.{level}.{part}.raw"]
    before = stack(patches)
    stack.load_state_dict(state)
    assert (stack(patches) - before).abs().max() > 1e-3


@pytest.mark.parametrize("part", ["boundary", "descriptor", "spread.raw", "shift"])
def test_the_last_level_has_a_consumer_for_all_it_holds(part, patches):
    stack = make()
    before = stack(patches)
    with torch.no_grad():
        dict(stack.levels[-1].named_parameters())[part].add_(0.3)
    assert (stack(patches) - before).abs().max() > 1e-3


def test_without_anything_between_them_the_maps_would_cancel():
    """What Bytropix did: the level is then the identity of its tangent vectors, whatever the curvature."""
    from unmask.models.poincare import exp0, log0

    v = torch.randn(5, 4, dtype=torch.float64)
    for c in (0.1, 3.0):
        back = log0(exp0(v, torch.tensor(c).double(), 0.7), torch.tensor(c).double(), 0.7)
        torch.testing.assert_close(back, v)


@pytest.mark.parametrize("initial", [1e-4, 0.5, 1.0, 30.0])
def test_positive_values_begin_where_they_are_told_to(initial):
    for learnable in (True, False):
        part = Positive(initial, 1e-5, learnable)
        assert float(part().detach()) == pytest.approx(initial, rel=1e-4)
        assert len(list(part.parameters())) == learnable and list(part.state_dict()) == ["raw"]


def test_levels_begin_at_their_stated_curvature_scale_and_spread():
    given = {"initial_curvatures": (1.0, 0.5, 2.0), "initial_scales": (1.0, 0.8, 0.5)}
    for level, c, s in zip(make(**given).levels, *given.values(), strict=True):
        found = [float(value.detach()) for value in (level.c, level.scale(), level.sigma)]
        assert found == pytest.approx([c, s, s], rel=1e-5)


def test_the_euclidean_twin_has_the_same_parameters_but_curvature_and_is_the_limit(patches):
    ball, flat = make(), make(euclidean=True)
    names = {name for name, _ in ball.named_parameters()} - {name for name, _ in flat.named_parameters()}
    assert names == {f"levels.{level}.curvature.raw" for level in range(3)}
    state = {name: value for name, value in ball.state_dict().items() if name not in names}
    assert flat.load_state_dict(state, strict=False).missing_keys == [f"levels.{level}.flat" for level in range(3)]
    for level in ball.levels:
        level.curvature.least = 0.0
        torch.nn.init.constant_(level.curvature.raw, -16)  # softplus: 1e-7
    torch.testing.assert_close(ball(patches), flat(patches), atol=2e-5, rtol=1e-4)
    assert (make()(patches) - flat(patches)).abs().max() > 1e-2


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_no_patch_sees_a_later_one_and_each_sees_the_earlier_ones(changes, patches):
    stack = make(**changes)
    before = stack(patches)
    for place in range(6):
        changed = patches.clone()
        changed[:, place] = -changed[:, place]
        moved = (stack(changed) - before).abs().amax((0, 2))
        assert (moved[:place] == 0).all()
        later = moved[place:] if stack.options.patch_attention else moved[place : place + 1]
        assert (later > 0).all()


def test_both_sides_are_seen_if_asked_and_order_counts(patches):
    stack = make()
    whole = stack(patches, causal=False)
    changed = patches.clone()
    changed[:, -1] = -changed[:, -1]
    assert ((stack(changed, causal=False) - whole).abs().amax((0, 2)) > 0).all()
    turned = stack(patches.flip(1), causal=False).flip(1)
    torch.testing.assert_close(turned, whole)  # distances between places have no sign
    swapped = patches[:, [1, 0, 2, 3, 4, 5]]
    assert (stack(swapped, causal=False)[:, 3] - whole[:, 3]).abs().max() > 1e-5


def test_padding_and_rows_and_pieces_stay_apart(patches):
    stack = make()
    for causal in (True, False):
        alone = stack(patches[:1, :4], causal=causal)
        valid = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
        together = stack(patches, valid, causal=causal)
        torch.testing.assert_close(together[:1, :4], alone)
        assert together.isfinite().all()
        nothing = stack(patches, torch.zeros(2, 6, dtype=torch.bool), causal=causal)
        assert nothing.isfinite().all()
        pieces = torch.tensor([[1, 1, 1, 1, 2, 2]] * 2)
        packed = stack(patches, segments=pieces, causal=causal)
        torch.testing.assert_close(packed[:1, :4], alone)
        torch.testing.assert_close(packed[:, 4:], stack(patches[:, 4:], causal=causal))


def test_weighted_alike_boundary_points_are_one_point_and_by_nearness_they_are_not(patches):
    """mean_j(v - b_j) = v - mean(b): the gradient is the same for all boundary points of Bytropix."""
    for attention, collapsed in ((False, True), (True, False)):
        stack = make(boundary_attention=attention, patch_attention=False, transform_types=("linear", "linear"))
        (state, *_) = stack.states(patches)
        relative = stack.transitions[0](state, stack.levels[0])[1][..., :4]
        (grad,) = torch.autograd.grad((relative * torch.randn_like(relative)).sum(), stack.levels[0].boundary)
        same = torch.allclose(grad, grad.mean(0, keepdim=True), atol=1e-6)
        assert same is collapsed


def test_relative_vectors_are_bytropixs_when_weighted_alike(patches):
    found = {}
    for kind in ("mean", "sum"):
        stack = make(boundary_attention=False, relative_vector_aggregation=kind)
        (state, *_) = stack.states(patches)
        v, context = stack.transitions[0](state, stack.levels[0])
        boundary = stack.transitions[0].transform(stack.transitions[0].rotation(stack.levels[0].boundary)[0])
        apart = v[..., None, :] - boundary
        found[kind] = context[..., :4]
        torch.testing.assert_close(found[kind], apart.mean(-2) if kind == "mean" else apart.sum(-2))
    torch.testing.assert_close(3 * found["mean"], found["sum"])


def test_extreme_vectors_and_bf16_stay_finite(patches):
    stack = make()
    for size in (0.0, 1e-20, 1e4, 1e9):
        x = (size * patches).requires_grad_()
        out = stack(x)
        out.sum().backward()
        assert out.isfinite().all() and x.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in stack.parameters())
    plain = stack(patches)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = stack(patches)
        points = [state.points for state in stack.states(patches)]
    torch.testing.assert_close(out.float(), plain, atol=0.15, rtol=0.1)
    assert all(part.dtype == torch.float32 for part in points)
    assert make().double()(patches.double()).dtype == torch.float64


def test_points_lie_well_inside_float32s_ball():
    stack = make()
    states = stack.states(1e6 * torch.randn(4, 5, D, generator=torch.Generator().manual_seed(0)))
    for state, level in zip(states, stack.levels, strict=True):
        radius = (state.points.norm(dim=-1) * level.c.sqrt()).max().item()
        assert radius < math.tanh(4.05)  # a reach of 3, and a shift of at most 1


def test_a_quaternion_map_is_linear_with_a_quarter_of_the_numbers_and_multiplies_quaternions():
    torch.manual_seed(0)
    module = QuaternionLinear(8, 12)
    assert module.weight.numel() == 8 * 12 // 4
    from unmask.models.rotation import quaternion_product

    x = torch.randn(5, 8)
    blocks = x.view(5, 2, 4)
    by_hand = sum(quaternion_product(module.weight[:, i], blocks[:, None, i]) for i in range(2))
    torch.testing.assert_close(module(x), by_hand.flatten(1))


def test_bytropixs_defaults_are_the_defaults():
    options = WubuOptions()
    assert options.num_levels == 3 and options.hyperbolic_dims == (128, 64, 32)
    assert options.boundary_points_per_level == (5, 5, 5) and options.rotation_types == ("so_n", "so_n")
    assert options.initial_curvatures == options.initial_scales == options.spreads == (1.0, 1.0, 1.0)
    assert options.transform_types == ("mlp", "mlp") and options.transform_hidden_dims == (None, None)
    assert options.dropout == 0.1 and options.level_descriptor_init_scale == 0.01
    assert options.relative_vector_aggregation == "mean" and options.aggregation_method == "concat_tangent"
    assert WubuOptions(num_levels=2).hyperbolic_dims == (128, 64)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_levels": 2, "hyperbolic_dims": (8, 4, 2)}, "hyperbolic_dims has 3 values and num_levels is 2; give 2"),
        ({"initial_scales": (1.0,)}, "initial_scales has 1 values and num_levels is 3; give 3, one a level"),
        ({"initial_spread_values": (1.0, 1.0)}, "initial_spread_values has 2 values and num_levels is 3; give 3"),
        ({"rotation_types": ("so_n",) * 3}, "rotation_types has 3 values .* give 2, one a transition between levels"),
        ({"initial_curvatures": (1.0, 0.0, 1.0)}, "initial_curvatures has 0; each must be above curvature_min_value"),
        ({"boundary_points_per_level": (0, 1, 1)}, "boundary_points_per_level has 0; each must be 1 or more"),
        ({"transform_hidden_dims": (1, None)}, "transform_hidden_dims has 1; each must be 4 or more"),
        ({"hyperbolic_dims": (6, 4, 4), "rotation_types": ("quat", "so_n")}, "multiple of 4 dimensions.* use so_n"),
        ({"hyperbolic_dims": (8, 6, 4), "transform_types": ("quat", "mlp")}, "not 8 to 6; use linear"),
        ({"num_levels": 0}, "greater than or equal to 1"),
        ({"curvature": 1.0}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_the_fix(changes, words):
    with pytest.raises(ValidationError, match=words):
        WubuOptions(**changes)


def test_dropout_is_there_in_training_only(patches):
    stack = make(dropout=0.5)
    assert not torch.equal(stack(patches), stack(patches))
    stack.eval()
    assert torch.equal(stack(patches), stack(patches))


def test_landmarks_are_boundary_points_and_the_descriptor():
    level = WubuLevel(WubuOptions(**SMALL), 0, 0)
    assert level.landmarks().shape == (4, 8)
    assert float((level.landmarks()[:3].detach().norm(dim=-1)).std()) < 1e-6  # as far out as each other at the start
