"""What the pictures of a run show, as numbers: patches where the network has them, points in balls, true bends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import make_patcher
from unmask.errors import Error
from unmask.models.bytes import Bytes
from unmask.models.bytes_config import BytesConfig
from unmask.models.poincare import distance
from unmask.pictures.metrics import bends, series
from unmask.pictures.patches import LINE, ROOM, cut_text, letters, patches_figure
from unmask.pictures.wubu_levels import ENDS, discs_figure, end_of, how, spheres_figure, transitions_figure
from unmask.pictures.wubu_view import LevelView, Vectors, WubuView, in_ball, look, nested, principal, stages

SIZES: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_encoder_layers": 1,
    "intermediate_size": 24,
    "n_gram_vocab_size": 50,
    "initializer_range": 0.3,
    "dropout": 0.5,
    "patcher": "whitespace",
}
TEXTS = ["The cat sat, on the mat.\nOnce more: नमस्ते!", "It did."]
ROWS = [[1, *(byte + 4 for byte in text.encode())] for text in TEXTS]


def network(*dims: int, **wubu: Any) -> Bytes:
    torch.manual_seed(0)
    model = Bytes(BytesConfig(**SIZES, wubu={"num_levels": len(dims), "hyperbolic_dims": dims, **wubu}))
    with torch.no_grad():
        for level in model.latent_stack.stack.levels[1:]:
            level.curvature.raw.add_(1.0)
    return model


@pytest.fixture(scope="module")
def view() -> WubuView:
    return look(network(8, 2, 2).eval(), ROWS, "causal")


def test_a_point_is_what_the_network_itself_makes_of_that_patch(view: WubuView) -> None:
    model = network(8, 2, 2).eval()
    heard: list[Any] = []
    for level in model.latent_stack.stack.levels:
        level.register_forward_hook(lambda module, given, state: heard.append(state))
    alone = look(model, ROWS[:1], "causal")
    words = ["", "The ", "cat ", "sat, ", "on ", "the ", "mat.\n", "Once ", "more: ", "नमस्ते!"]
    assert alone.patches == [word.encode() for word in words]
    assert view.patches == [*alone.patches, b"", b"It ", b"did."], "no padding, nothing of the other text"
    first = heard[: len(alone.levels)]  # from the network's forward; the others are the view's own
    for level, other, state in zip(alone.levels, view.levels, first, strict=True):
        expected = state.points[0].numpy() * level.c**0.5
        assert level.points.patches == pytest.approx(expected, abs=1e-6)
        assert other.points.patches[: len(expected)] == pytest.approx(expected, abs=1e-5)


def test_looking_leaves_a_network_in_training_as_it_was_and_sees_it_without_dropout(view: WubuView) -> None:
    model = network(8, 2, 2).train()
    before = torch.get_rng_state()
    found = look(model, ROWS, "causal")
    assert model.training and all(part.training for part in model.modules())
    assert torch.equal(before, torch.get_rng_state())
    assert found.levels[0].points.patches == pytest.approx(view.levels[0].points.patches)
    assert not model.latent_stack._forward_pre_hooks


def test_points_lie_in_the_disc_and_levels_of_two_dimensions_are_drawn_as_they_are(view: WubuView) -> None:
    for level in view.levels:
        shown = in_ball(level, 2)
        assert shown.points.patches.shape == (len(view.patches), 2)
        assert (len(shown.points.boundary), len(shown.points.descriptor)) == (5, 1)
        for part in shown.points:
            assert (np.linalg.norm(part, axis=1) < 1).all()
        assert 0 < shown.kept <= 1 + 1e-9 and 0 < shown.kept_landmarks <= 1 + 1e-9
        if level.size == 2:
            assert shown.points.patches == pytest.approx(level.points.patches)
            assert "as they are" in how(level, shown, 2)
        else:
            assert "8 dimensions, PCA of tangent vectors at the origin" in how(level, shown, 2)
            assert f"{shown.kept:.0%}" in how(level, shown, 2)


def test_spheres_lie_within_each_other(view: WubuView) -> None:
    found = nested(view)
    assert [radius for radius, _ in found] == pytest.approx([1, 2 / 3, 1 / 3])
    for radius, shown in found:
        for part in shown.points:
            assert part.shape[1] == 3 and (np.linalg.norm(part, axis=1) < radius).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 9), st.sampled_from([0.0, 1.0]))
def test_a_projection_keeps_what_lies_in_its_plane_and_never_lengthens(seed: int, size: int, c: float) -> None:
    rng = np.random.default_rng(seed)
    plane = np.linalg.qr(rng.normal(size=(size, 2)))[0]
    x = rng.normal(size=(20, 2))
    x = 0.95 * x / np.linalg.norm(x, axis=1).max() @ plane.T
    out = rng.normal(size=(4, size))
    out = 0.9 * out / np.linalg.norm(out, axis=1).max()
    level = LevelView(Vectors(x, out, out[:0]), c, 1.0, 1.0)
    shown = in_ball(level, 2)
    assert shown.kept == pytest.approx(1) and shown.kept_landmarks < 1
    norm = np.linalg.norm
    assert norm(shown.points.patches, axis=1) == pytest.approx(norm(x, axis=1))
    assert (norm(shown.points.boundary, axis=1) <= norm(out, axis=1) + 1e-9).all()
    unit, one, two = torch.tensor(c, dtype=torch.float64), torch.from_numpy(x), torch.from_numpy(shown.points.patches)
    assert distance(one[1:], one[:-1], unit).numpy() == pytest.approx(distance(two[1:], two[:-1], unit).numpy())


def test_a_rotation_is_seen_in_one_plane_and_what_is_mapped_is_what_enters_the_next_level(view: WubuView) -> None:
    model = network(8, 2, 2).eval()
    entered: list[Any] = []
    for level in model.latent_stack.stack.levels:
        level.register_forward_pre_hook(lambda module, given: entered.append(given[0]))
    alone = look(model, ROWS[:1], "causal")
    for number, part in enumerate(alone.transitions):
        for before, rotated in zip(part.before, part.rotated, strict=True):
            assert np.linalg.norm(before, axis=1) == pytest.approx(np.linalg.norm(rotated, axis=1), abs=1e-6)
        assert part.mapped.patches == pytest.approx(entered[number + 1][0].detach().numpy(), abs=1e-6)
    before, rotated, mapped = stages(view.transitions[1])
    turn = np.linalg.lstsq(before.points.patches, rotated.points.patches, rcond=None)[0]
    assert turn @ turn.T == pytest.approx(np.eye(2), abs=1e-5), "of two dimensions nothing is lost"
    assert before.points.landmarks @ turn == pytest.approx(rotated.points.landmarks, abs=1e-5)
    assert mapped.kept == 1 and stages(view.transitions[0])[0].kept < 1
    wide, (before, rotated, _) = view.transitions[0], stages(view.transitions[0])
    whole = np.concatenate([*wide.before, *wide.rotated])
    seen = np.concatenate([*before.points, *rotated.points])
    axes = np.linalg.lstsq(whole, seen, rcond=None)[0]
    assert whole @ axes == pytest.approx(seen, abs=1e-9), "one plane for both"


@pytest.mark.parametrize(
    ("dims", "wubu"),
    [
        ((4,), {}),
        ((1, 3), {"rotation_types": ["identity"]}),
        ((8, 4), {"rotation_types": ["quat"], "transform_types": ["quat"], "use_level_descriptors": False}),
        ((3, 2), {"euclidean": True, "use_level_spread": False}),
    ],
    ids=str,
)
def test_every_kind_of_stack_can_be_drawn(dims: tuple[int, ...], wubu: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = Bytes(BytesConfig(**SIZES, wubu={"num_levels": len(dims), "hyperbolic_dims": dims, **wubu})).eval()
    found = look(model, ROWS, "causal")
    assert [level.size for level in found.levels] == list(dims)
    assert all((np.linalg.norm(in_ball(level, 3).points.landmarks, axis=1) <= 1).all() for level in found.levels)
    figure = discs_figure(found, "levels")
    assert len(figure.axes) == len(dims)
    assert sum(len(axes.patches) for axes in figure.axes) == (0 if wubu.get("euclidean") else len(dims)), "no border"
    spheres_figure(found, "spheres")
    if found.transitions:
        assert len(transitions_figure(found, "between").axes) == 3 * len(found.transitions)


def test_numbers_that_are_not_finite_are_refused() -> None:
    model = network(4, 2).eval()
    with torch.no_grad():
        model.latent_stack.stack.enter.weight.fill_(float("nan"))
    with pytest.raises(Error, match="not finite"):
        look(model, ROWS, "causal")


def test_fewer_points_than_axes_have_axes_all_the_same() -> None:
    axes = principal(np.array([[1.0, 2, 2, 0]]), 3)
    assert axes.T @ axes == pytest.approx(np.eye(3)) and np.abs(axes[:, 0]) == pytest.approx([1 / 3, 2 / 3, 2 / 3, 0])


def test_patches_are_told_apart_by_how_they_end() -> None:
    ends = [end_of(patch) for patch in (b"", b"to ", b"x\n", "न".encode(), "ने".encode(), b"a!", b"7", b"\xff")]
    assert ends == [list(ENDS)[n] for n in (4, 1, 2, 0, 0, 3, 3, 3)]


def test_cuts_and_entropies_are_those_that_the_patcher_uses() -> None:
    text = "The cat sat on the mat. नमस्ते"
    entropy = NgramEntropy(ByteNgram(3).fit([text.encode() * 3]), "character")
    for rule, more in (("threshold", {}), ("jump", {"reset": "newline"}), ("both", {"jump": 0.1})):
        patcher = make_patcher("babylon", {"rule": rule, "theta": 0.6, **more}, entropy)
        found = cut_text(patcher, text)
        assert found.data == text.encode() and (found.starts == patcher.starts(found.data)).all()
        bits = entropy.entropy(found.data) / np.log(2)
        whole = [n for n, byte in enumerate(found.data) if byte & 0xC0 != 0x80]
        assert found.bits is not None and (np.flatnonzero(~np.isnan(found.bits)) == whole).all()
        assert found.bits[whole] == pytest.approx(bits[whole])
        assert (found.theta is None) == (rule == "jump")
        if rule == "threshold":
            assert found.theta == pytest.approx(0.6 / np.log(2))
            assert (found.bits[found.starts][1:] > found.theta).all()
    plain = cut_text(make_patcher("fixed"), "नम" * 400)
    assert plain.bits is None and ROOM - 3 < len(plain.data) <= ROOM and plain.data.decode()
    assert len(patches_figure(plain, "fixed").axes) == ROOM // LINE
    assert len(patches_figure(found, "babylon").axes) == 2


def test_letters_stand_below_their_first_byte_and_what_the_font_lacks_is_hexadecimal() -> None:
    assert letters("aé \n".encode()) == ["a", "é", "", "\u00b7", "\u21b5"]
    assert letters("न".encode() + b"\xff\xe0") == ["e0", "a4", "a8", "ff", "e0"]
    assert letters(b"$x$\0") == ["$", "x", "$", "00"]


def test_bends_are_the_columns_of_the_metrics_in_the_order_of_levels() -> None:
    levels = {f"network.curvature.{n}": 1.0 + n for n in range(11)}
    rows = [{"step": 5, "loss": 2.0, **levels}, {"step": 5, "valid_nats_per_token": 1.5}, {"step": 10, "loss": None}]
    found = bends(rows)
    assert list(found) == ["curvature"]
    assert [float(each.values[0]) for each in found["curvature"]] == list(levels.values())
    assert series(rows, ["loss"])["loss"].steps.tolist() == [5] and bends([{"step": 1, "loss": 1.0}]) == {}
