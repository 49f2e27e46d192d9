"""The pictures of nested levels: discs, spheres within each other, and vectors on their way between two levels.

Dots are patches, coloured by how they end; diamonds are a level's boundary points, the star is its descriptor.

Letters: P patches.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Circle

from unmask.pictures.style import COLOURS, GREY
from unmask.pictures.wubu_view import LevelView, Shown, Vectors, WubuView, in_ball, nested, stages

ENDS = {
    "ends in a letter": COLOURS[0],
    "ends in a space": COLOURS[1],
    "ends a line": COLOURS[2],
    "ends in a mark or digit": COLOURS[4],
    "begins the text": COLOURS[3],
}
"""How a patch ends, and its colour."""


def end_of(patch: bytes) -> str:
    """Return how a patch ends; an empty one is the start of a text."""
    if not patch:
        return "begins the text"
    last = patch.decode(errors="replace")[-1]
    if last.isspace():
        return "ends a line" if last in "\r\n" else "ends in a space"
    return "ends in a letter" if unicodedata.category(last)[0] in "LM" else "ends in a mark or digit"


def discs_figure(view: WubuView, title: str) -> Figure:
    """Draw the Poincare disc of each level, outermost first."""
    count = len(view.levels)
    rows = -(-count // 4)
    columns = -(-count // rows)
    figure = Figure(figsize=(3.5 * columns, 0.9 + 4.1 * rows), layout=ConstrainedLayoutEngine(h_pad=0.1))
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = _colours(view.patches)
    for number, (axes, level) in enumerate(zip(panels, view.levels, strict=False), start=1):
        shown = in_ball(level, 2)
        draw_disc(axes, border=level.c > 0)
        draw_points(axes, shown.points, colours)
        numbers = f"c {level.c:.3g}, s {level.scale:.3g}, σ {level.spread:.3g}"
        axes.set_title(f"level {number}: {numbers}\n{how(level, shown, 2)}", fontsize=7.5)
    for axes in panels[count:]:
        axes.axis("off")
    _legend(figure, view.patches)
    return figure


def how(level: LevelView, shown: Shown, k: int) -> str:
    """Say whether a level is drawn as it is, or how it was projected and what that left."""
    if level.size <= k:
        return f"{level.size} dimension{'s' if level.size > 1 else ''}, as they are"
    return f"{level.size} dimensions, PCA of tangent vectors at the origin\n{_kept(shown)}"


def draw_disc(axes: Any, border: bool = True) -> None:
    """Make room for the unit disc, and draw its border."""
    axes.set(aspect="equal", xlim=(-1.05, 1.05), ylim=(-1.05, 1.05))
    axes.axis("off")
    if border:
        axes.add_patch(Circle((0, 0), 1, fill=False, color="#777777", linewidth=0.9))


def draw_points(axes: Any, points: Vectors, colours: Sequence[Any] | Float[np.ndarray, "P 4"], size: float = 3) -> None:
    """Draw patches, and over them boundary points and descriptor, in two or three dimensions."""
    axes.scatter(*points.patches.T, c=colours, s=size)
    axes.scatter(*points.boundary.T, marker="D", c="black", s=26)
    axes.scatter(*points.descriptor.T, marker="*", c="black", s=70)


def spheres_figure(view: WubuView, title: str) -> Figure:
    """Draw all levels in one space, each within the one before it."""
    figure = Figure(figsize=(6.4, 6.6), layout="constrained")
    figure.suptitle(f"{title}\nradii are drawn to show the nesting; learned ones are 1/√c", fontsize=10)
    axes = figure.add_subplot(projection="3d")
    turn, rise = np.mgrid[0 : 2 * np.pi : 25j, 0 : np.pi : 13j]
    ball = np.stack([np.cos(turn) * np.sin(rise), np.sin(turn) * np.sin(rise), np.cos(rise)])
    for number, (level, (radius, shown)) in enumerate(zip(view.levels, nested(view), strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot_wireframe(*radius * ball, rcount=7, ccount=13, color=colour, linewidth=0.4, alpha=0.35)
        points = shown.points
        axes.scatter(*points.patches.T, color=colour, s=3, alpha=0.35, linewidths=0, depthshade=False)
        learned = f"1/√c {level.c**-0.5:.3g}" if level.c > 0 else "flat"
        label = f"level {number + 1} ({learned}): {how(level, shown, 3)}"
        axes.scatter(*points.boundary.T, marker="D", color=colour, s=30, depthshade=False, label=label)
        axes.scatter(*points.descriptor.T, marker="*", color=colour, s=90, edgecolors="black", depthshade=False)
    axes.set_box_aspect((1, 1, 1))
    axes.set(xlim=(-0.62, 0.62), ylim=(-0.62, 0.62), zlim=(-0.62, 0.62))
    axes.set_axis_off()
    figure.legend(loc="outside lower center", fontsize=7.5, frameon=False)
    return figure


def transitions_figure(view: WubuView, title: str) -> Figure:
    """Draw a row for each transition: tangent vectors before the rotation, after it, and after the map."""
    count = len(view.transitions)
    figure = Figure(figsize=(9.6, 0.8 + 3.6 * count), layout=ConstrainedLayoutEngine(h_pad=0.1))
    figure.suptitle(title, fontsize=10)
    colours = _colours(view.patches)
    for number, (row, part) in enumerate(zip(figure.subplots(count, 3, squeeze=False), view.transitions, strict=True)):
        shown = stages(part)
        turned = max(_reach(stage.points) for stage in shown[:2])
        for axes, stage, whole, reach, name in zip(
            row,
            shown,
            (part.before, part.rotated, part.mapped),
            (turned, turned, _reach(shown[2].points)),
            (f"level {number + 1}, before rotation", "after rotation", f"after the map, into level {number + 2}"),
            strict=True,
        ):
            size = whole.patches.shape[1]
            axes.axhline(0, color=GREY, linewidth=0.4, zorder=0)
            axes.axvline(0, color=GREY, linewidth=0.4, zorder=0)
            draw_points(axes, stage.points, colours)
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axes.tick_params(labelsize=7)
            axes.locator_params(nbins=5)
            about = f"{size} dimension{'s' if size > 1 else ''}"
            about += ", as they are" if size <= 2 else f", PCA\n{_kept(stage)}"
            axes.set_title(f"{name}\n{about}", fontsize=7.5)
    _legend(figure, view.patches)
    return figure


def _kept(shown: Shown) -> str:
    return f"(keeps {shown.kept:.0%} of patches' squared length, {shown.kept_landmarks:.0%} of landmarks')"


def _reach(points: Vectors) -> float:
    return 1.05 * max(float(np.abs(np.concatenate(points)).max()), 1e-12)


def _colours(patches: Sequence[bytes]) -> list[str]:
    return [ENDS[end_of(patch)] for patch in patches]


def _legend(figure: Figure, patches: Sequence[bytes]) -> None:
    """Name the colours that occur, and the marks, below the panels."""
    marks: Axes = figure.axes[0]
    counts = Counter(map(end_of, patches))
    for name, colour in ENDS.items():
        if counts[name]:
            marks.scatter([], [], c=colour, s=14, label=f"patch that {name} ({counts[name]})")
    marks.scatter([], [], marker="D", c="black", s=26, label="boundary point")
    marks.scatter([], [], marker="*", c="black", s=70, label="level descriptor")
    handles, names = marks.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
