"""The pictures of a run's ``metrics.jsonl``: how it trained, and how its nested levels were bent meanwhile.

A row's loss, and all that the network tells of itself (``network.*``), are means over the steps since the row before.

Letters: S rows that have a number, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unmask.pictures.style import COLOURS, LINES, MARKERS

TRAINING = ("loss", "valid_nats_per_token", "grad_norm", "learning_rate", "tok_per_s")
"""Columns that :func:`training_figure` draws."""
BENDS = {"curvature": "curvature c", "scale": "scale s", "spread": "spread σ"}
"""What the nested levels tell, and what it is called; see :mod:`unmask.models.wubu_level`."""
_DOTTED = 40  # a longer curve has no marker at each of its numbers


class Series(NamedTuple):
    """One column over training.

    Attributes:
        steps: Where it was written.
        values: Its numbers; what is not finite is a gap.
    """

    steps: Int[np.ndarray, " S"]
    values: Float[np.ndarray, " S"]


def series(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, Series]:
    """Return the columns that have a number somewhere; of two rows of a step the later one counts."""
    found = {}
    for column in columns:
        values = {int(row["step"]): float(row[column]) for row in rows if row.get(column) is not None}
        if values:
            steps = sorted(values)
            found[column] = Series(np.array(steps), np.array([values[step] for step in steps]))
    return found


def bends(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Series]]:
    """Return curvature, scale and spread of each level, outermost first; empty where the network told none."""
    found: dict[str, list[Series]] = {}
    for name in BENDS:
        levels = [key for row in rows for key in row if key.startswith(f"network.{name}.")]
        each = series(rows, sorted(set(levels), key=lambda key: int(key.rpartition(".")[2])))
        if each:
            found[name] = list(each.values())
    return found


def training_figure(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw loss, gradient norm, learning rate and speed."""
    found = series(rows, TRAINING)
    figure = Figure(figsize=(8.6, 5.6), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(2, 2, sharex=True).ravel()
    for axes, columns, label in zip(
        panels,
        (TRAINING[:2], TRAINING[2:3], TRAINING[3:4], TRAINING[4:]),
        ("nats", "gradient norm (before clipping)", "learning rate", "tokens a second (mean so far)"),
        strict=True,
    ):
        names = {"loss": "training loss", "valid_nats_per_token": "held out, nats a token"}
        for number, column in enumerate(columns):
            if column in found:
                _line(axes, found[column], number, names.get(column))
        axes.set_ylabel(label)
        axes.locator_params(nbins=6)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
    norms = found["grad_norm"].values if "grad_norm" in found else np.ones(1)
    if norms.min() > 0 and norms.max() > 10 * norms.min():
        panels[1].set_yscale("log")
    panels[3].set_ylim(0, 1.1 * max(panels[3].get_ylim()))
    for axes in panels[2:]:
        axes.set_xlabel("step")
    return figure


def bends_figure(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw curvature, scale and spread of each level over training."""
    found = bends(rows)
    figure = Figure(figsize=(9.6, 3.3), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axes, (name, levels) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        for number, level in enumerate(levels):
            _line(axes, level, number, f"level {number + 1}")
        axes.set_title(BENDS[name], fontsize=9)
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
        axes.locator_params(nbins=6)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _line(axes: Axes, drawn: Series, number: int, label: str | None) -> None:
    axes.plot(
        *drawn,
        color=COLOURS[number % len(COLOURS)],
        linestyle=LINES[number % len(LINES)],
        marker=MARKERS[number % len(MARKERS)] if len(drawn.steps) <= _DOTTED else None,
        markersize=3,
        linewidth=1.2,
        label=label,
    )
