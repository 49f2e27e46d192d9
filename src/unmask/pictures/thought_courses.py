"""The pictures of a denoising run: what a thought did while its text was written.

Letters: A answers of a text, C cells, E channels, F = C E, K texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unmask.evaluation.trajectories import Trajectory
from unmask.lines import counted
from unmask.pictures.style import COLOURS, GREY, LINES, MARKERS, new_axes, to_uri

_NAMED = 12
"""Paths of more texts than this are not drawn: nobody could tell them apart."""


def courses(trajectories: Sequence[Trajectory]) -> list[tuple[str, str]]:
    """Return (description for those who cannot see it, data URI) of the picture of each text."""
    return [(_told(each), to_uri(course(each))) for each in trajectories]


def crossing(trajectories: Sequence[Trajectory]) -> tuple[str, str] | None:
    """Return the picture of all texts together; ``None`` for a single one."""
    if len(trajectories) < 2:
        return None
    about = "Two principal axes of the beliefs of all texts; each thought from its noise to its end."
    return about, to_uri(paths(trajectories))


def course(trajectory: Trajectory) -> Figure:
    """Draw one text: its cells over the steps as a heat map, and below it the curves of what went on."""
    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1.25, 1))
    values = cell_values(trajectory)
    steps = int(trajectory.steps[-1])
    most = float(np.abs(values).max()) or 1.0
    picture = top.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap="PuOr",
        vmin=-most,
        vmax=most,
        extent=(0.5, steps + 0.5, len(values) + 0.5, 0.5),
    )
    top.set_ylabel("cell, sorted by its end")
    top.locator_params(axis="y", integer=True)
    figure.colorbar(picture, ax=top, label="along the first principal axis", pad=0.01)
    _curves(bottom, trajectory)
    bottom.set_xlim(0.5, steps + 0.5)
    return figure


def cell_values(trajectory: Trajectory) -> Float[np.ndarray, "C S"]:
    """Return each cell's belief along the first principal axis of all cells, at every step up to the last answer.

    A step without an answer shows the belief that still holds; steps before the first show what the first will say.
    Rows are sorted by their last value, and the axis points to where cells that end large lie.
    """
    believed = trajectory.believed.astype(np.float64)
    flat = believed.reshape(-1, believed.shape[-1])
    _, _, axes = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    value = (believed - flat.mean(0)) @ axes[0]
    value = value * (np.sign(value[-1][np.abs(value[-1]).argmax()]) or 1.0)
    held = np.searchsorted(trajectory.steps, np.arange(1, trajectory.steps[-1] + 1), side="right") - 1
    return np.asarray(value[held.clip(min=0)].T[value[-1].argsort()[::-1]])


def paths(trajectories: Sequence[Trajectory]) -> Figure:
    """Draw the thoughts of several texts from noise (hollow) to end (filled), in the plane where beliefs vary most.

    The plane is that of the beliefs, as noise has no plane of its own. Small dots are the beliefs, which the thought is
    drawn to.
    """
    drawn = trajectories[:_NAMED]
    beliefs = np.concatenate([each.flat for each in drawn]).astype(np.float64)
    middle = beliefs.mean(0)
    _, s, axes = np.linalg.svd(beliefs - middle, full_matrices=False)
    share = np.square(s) / max(float(np.square(s).sum()), 1e-300)
    plane = axes[:2].T
    figure, at = new_axes(4.6)
    for number, each in enumerate(drawn):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        way = (each.cells.reshape(len(each.cells), -1) - middle) @ plane
        dots = (each.flat - middle) @ plane
        at.plot(dots[:, 0], dots[:, -1], ".", color=colour, markersize=3, alpha=0.35)
        at.plot(way[:, 0], way[:, -1], color=colour, linestyle=LINES[number // len(COLOURS)], linewidth=1, alpha=0.8)
        at.plot(way[0, 0], way[0, -1], marker, color=colour, markerfacecolor="white", markersize=6)
        at.plot(way[-1, 0], way[-1, -1], marker, color=colour, markersize=7)
        place = (way[-1, 0], way[-1, -1])
        at.annotate(str(number + 1), place, (5, 4), textcoords="offset points", fontsize=8)
    at.set_xlabel(f"first principal axis of the beliefs ({share[0]:.0%} of their variance)")
    if len(share) > 1:
        at.set_ylabel(f"second ({share[1]:.0%})")
    return figure


def _curves(axes: Axes, trajectory: Trajectory) -> None:
    """Shares and cosines on the left axis, velocity on the right: it is in units of a thought's root mean square."""
    steps = trajectory.steps
    axes.grid(alpha=0.25)
    axes.spines[["top"]].set_visible(False)
    lines = (
        ("words still open", trajectory.open, GREY, ":"),
        ("noise in the thought", trajectory.level, COLOURS[1], "--"),
        ("cosine to the last belief", trajectory.to_end, COLOURS[0], "-"),
        ("cosine to the thought read off the text", trajectory.to_read, COLOURS[2], "-."),
    )
    for name, values, colour, line in lines:
        axes.plot(steps, values, color=colour, linestyle=line, label=name)
    axes.set_ylim(min(-0.05, *(float(values.min()) for _, values, _, _ in lines)), 1.05)
    axes.set_xlabel("step")
    axes.set_ylabel("share, cosine")
    beside = axes.twinx()
    beside.spines[["top"]].set_visible(False)
    beside.plot(steps, trajectory.velocity, color=COLOURS[3], linewidth=1, label="velocity")
    beside.set_ylim(bottom=0)
    beside.set_ylabel("velocity (r.m.s. change a step)", color=COLOURS[3])
    handles = [*axes.get_legend_handles_labels()[0], *beside.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def _told(trajectory: Trajectory) -> str:
    return (
        f"{counted(len(trajectory.believed[0]), 'cell')} over {counted(int(trajectory.steps[-1]), 'step')}. "
        "Cosine of the first belief and "
        f"the last: {trajectory.to_end[0]:.2f}; of the last and the thought read off the text: "
        f"{trajectory.to_read[-1]:.2f}."
    )
