"""Labels can be read: none lies on another, on a point or outside the picture while there is room."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from unmask.pictures.labels import label_points


def test_labels_of_points_that_are_close_do_not_lie_on_each_other_nor_on_what_is_taken():
    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(10, 1000)
    axes.set_ylim(0, 1)
    points = [(100 + i, 0.5 + 0.01 * i, f"sampler number {i}") for i in range(6)] + [(990.0, 0.99, "in the corner")]
    axes.plot([p[0] for p in points], [p[1] for p in points], "o")
    legend = axes.legend(["something"])
    figure.draw_without_rendering()
    before = axes.get_window_extent().bounds
    label_points(axes, [*points, points[0]], [legend.get_window_extent()], fontsize=8)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert sorted(text.get_text() for text in axes.texts) == sorted(p[2] for p in points)
    assert not any(Bbox.intersection(a, b) for a, b in combinations([*boxes, legend.get_window_extent()], 2))
    frame = axes.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 + 1 and box.y1 <= frame.y1 + 1 for box in boxes)
    assert axes.get_window_extent().bounds == pytest.approx(before, abs=0.01)
