"""Trees, the measures of their embeddings, and the promise that a ball holds them better than a plane."""

from __future__ import annotations

import importlib
from pathlib import Path

import networkx
import numpy as np
import pytest
import torch

from benchmarks.studies.wubu.tree_distances import (
    balanced_tree,
    class_tree,
    distortion,
    embed,
    neighbour_precision,
    path_lengths,
    random_tree,
)
from unmask.errors import Error


def graph(parents: np.ndarray) -> networkx.Graph:
    return networkx.Graph([(child, int(parent)) for child, parent in enumerate(parents) if parent >= 0])


@pytest.mark.parametrize("parents", [balanced_tree(2, 3), balanced_tree(3, 2), random_tree(20, 1), class_tree(("io",))])
def test_trees_are_trees_and_their_path_lengths_networkxs(parents):
    made = graph(parents)
    assert networkx.is_tree(made) and len(made) == len(parents) and parents[0] == -1
    truth = dict(networkx.all_pairs_shortest_path_length(made))
    found = path_lengths(parents)
    assert all(found[i, j] == truth[i][j] for i in truth for j in truth)


def test_shapes_are_as_stated():
    assert networkx.is_isomorphic(graph(balanced_tree(3, 2)), networkx.balanced_tree(3, 2))
    assert len(balanced_tree(2, 6)) == 127 and len(balanced_tree(3, 4)) == 121
    assert np.array_equal(random_tree(30, 4), random_tree(30, 4))
    assert not np.array_equal(random_tree(30, 4), random_tree(30, 5))


def test_classes_stand_under_their_first_base():
    parents = class_tree(("builtins",))
    lengths = path_lengths(parents)
    deep = len(ConnectionResetError.__mro__) - 1  # ConnectionError, OSError, Exception, BaseException, object
    assert int(lengths[0].max()) == deep == 5
    assert len(parents) >= 80


def test_a_forest_is_refused():
    with pytest.raises(Error, match="one tree"):
        path_lengths(np.array([-1, 0, -1, 2]))


def test_perfect_distances_score_perfectly_whatever_their_unit():
    lengths = path_lengths(random_tree(25, 0))
    both = torch.stack([lengths, 7 * lengths])
    torch.testing.assert_close(distortion(both, lengths), torch.zeros(2).double(), atol=1e-12, rtol=0)
    assert neighbour_precision(both, lengths).tolist() == pytest.approx([1, 1])


def test_measures_are_their_formulas():
    lengths = path_lengths(balanced_tree(2, 2))
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(7, 2, generator=draw, dtype=torch.float64)
    apart = torch.cdist(points, points)
    precision = 0.0
    for i in range(7):
        neighbours = [j for j in range(7) if lengths[i, j] == 1]
        for j in neighbours:
            inside = [k for k in range(7) if k != i and apart[i, k] <= apart[i, j]]
            precision += len(set(inside) & set(neighbours)) / len(inside) / len(neighbours) / 7
    assert float(neighbour_precision(apart, lengths)) == pytest.approx(precision)
    pairs = torch.ones(7, 7).triu(1) > 0
    ratio = (apart / lengths)[pairs]
    least = min(float((a * ratio - 1).square().mean()) for a in torch.linspace(0.1, 5, 5000))
    a = float(ratio.sum() / ratio.square().sum())
    assert float((a * ratio - 1).square().mean()) <= least + 1e-9
    assert float(distortion(apart, lengths)) == pytest.approx(float((a * ratio - 1).abs().mean()))


def test_points_that_fall_together_earn_nothing():
    lengths = path_lengths(balanced_tree(2, 3))
    together = torch.zeros_like(lengths)
    chance = float(((lengths == 1).sum(1) / (len(lengths) - 1)).mean())
    assert float(neighbour_precision(together, lengths)) == pytest.approx(chance)


def test_a_ball_holds_a_tree_better_than_a_plane_with_the_same_code():
    lengths = path_lengths(balanced_tree(2, 4))
    rates, seeds = [0.3, 0.3], [0, 1]
    ball = embed(lengths, 2, rates=rates, seeds=seeds, steps=200, euclidean=False)
    plane = embed(lengths, 2, rates=rates, seeds=seeds, steps=200, euclidean=True)
    assert distortion(ball.distances, lengths).max() < 0.8 * distortion(plane.distances, lengths).min()
    assert (plane.curvature == 0).all() and (ball.curvature > 0).all() and (ball.curvature != 1).all()
    apart = 2 * (plane.points[:, :, None] - plane.points[:, None]).norm(dim=-1)
    torch.testing.assert_close(plane.distances, apart, atol=1e-9, rtol=1e-9)
    fixed = embed(lengths, 2, rates=rates, seeds=seeds, steps=5, euclidean=False, learnable_curvature=False)
    assert fixed.curvature.tolist() == pytest.approx([1, 1])


def test_runs_do_not_touch_each_other():
    lengths = path_lengths(random_tree(12, 0))
    both = embed(lengths, 2, rates=[0.1, 0.03], seeds=[5, 6], steps=10, euclidean=False)
    alone = embed(lengths, 2, rates=[0.03], seeds=[6], steps=10, euclidean=False)
    torch.testing.assert_close(both.points[1], alone.points[0])
    with pytest.raises(Error, match="1 rates for 2 seeds"):
        embed(lengths, 2, rates=[0.1], seeds=[0, 1], steps=1, euclidean=True)


def test_the_benchmark_runs(monkeypatch, tmp_path: Path, capsys):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2])
    assert importlib.import_module("benchmarks.studies.wubu.trees").main(["--quick", "--results", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Poincare, learned c" in printed and "Euclidean" in printed and "Points as drawn" in printed
    assert not list(tmp_path.iterdir())
