"""Labels of points that do not lie on each other: each takes the first place around its point that is still free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from unmask.data.visible import visible

_NEAR = [(7, -3), (5, 4), (5, -11), (-5, 4), (-5, -11), (0, 9), (0, -16)]
_FAR = [(side, up) for up in (15, -22, 26, -33, 37, -44) for side in (5, -5, 0)]


def named(text: str) -> str:
    """Return a name from elsewhere as a picture shows it: dollars make no formula, and no legend leaves it out."""
    shown = visible(text).replace("\n", "\u240a").replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def label_points(
    axes: Axes, points: Sequence[tuple[float, float, str]], taken: Sequence[Bbox] = (), **font: Any
) -> None:
    """Write a label beside each point.

    A label that no place is free for is written where it covers the least, and rather not nearer to another point.

    Args:
        axes: With the scales and limits that it will have.
        points: x, y in data, and the label; equal ones at one place are written once, and a point whose label is
            empty is kept free.
        taken: What is to stay free besides the points, in pixels.
        **font: Of :meth:`matplotlib.axes.Axes.annotate`.
    """
    held = list(taken)
    spots = axes.transData.transform([(x, y) for x, y, _ in points]) if points else []
    held += [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in spots]
    frame = axes.get_window_extent()
    for x, y, text in dict.fromkeys(point for point in points if point[2]):
        best: tuple[float, Any] | None = None
        for right, up in (*_NEAR, *_FAR):
            side = "left" if right > 0 else "right" if right < 0 else "center"
            label = axes.annotate(named(text), (x, y), (right, up), textcoords="offset points", ha=side, **font)
            label.set_in_layout(False)  # the axes stay where they are
            box = label.get_window_extent()
            covered = sum(_shared(box, other) for other in held) + _area(box) - _shared(box, frame)
            here = axes.transData.transform((x, y))
            if any(_apart(box, spot) < _apart(box, here) - 1 for spot in spots):
                covered += _area(box) / 10  # it would be taken for another point's
            if best is None or covered < best[0] - 1e-6:
                if best is not None:
                    best[1].remove()
                best = (covered, label)
            else:
                label.remove()
            if covered <= 1e-6:
                break
        assert best is not None
        held.append(best[1].get_window_extent())


def _apart(box: Bbox, spot: Sequence[float]) -> float:
    """Return how far a point is from a label."""
    across = max(box.x0 - spot[0], 0.0, spot[0] - box.x1)
    up = max(box.y0 - spot[1], 0.0, spot[1] - box.y1)
    return math.hypot(across, up)


def _area(box: Bbox) -> float:
    return float(box.width * box.height)


def _shared(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else _area(both)
