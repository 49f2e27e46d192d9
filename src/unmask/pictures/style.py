"""How our pictures look, as SVG data URIs. Colours are Okabe and Ito's; shapes and line styles tell apart as well."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unmask.pictures.fonts import fall_back

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
GREY = "#666666"


def new_axes(height: float) -> tuple[Figure, Axes]:
    """Return an empty picture of a report, in its style."""
    figure = Figure(figsize=(5.4, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def look(number: int) -> dict[str, Any]:
    """Return colour, marker and line style of the n-th of several."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": LINES[number % len(LINES)],
    }


def to_uri(figure: Figure) -> str:
    """Render without pyplot and without global state that a caller would notice."""
    out = io.BytesIO()
    fall_back(figure)
    with matplotlib.rc_context({"svg.hashsalt": "unmask", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()
