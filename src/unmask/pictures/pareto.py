"""Quality against time: every way to write that was tried, and those that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from unmask.pictures.labels import label_points, named
from unmask.pictures.style import COLOURS, GREY, MARKERS

_TRIED = 0.45
"""How much of its colour a way has that is not on the front."""


class Dot(NamedTuple):
    """One way to write.

    Attributes:
        ms: Milliseconds.
        bits: Bits per byte.
        group: What tells it by colour and shape: its sampler.
        label: Written beside it; empty: nothing is.
        hollow: Whether it has collapsed, or may not be ranked.
    """

    ms: float
    bits: float
    group: str
    label: str = ""
    hollow: bool = False


def pareto_figure(
    dots: Sequence[Dot], front: Sequence[Dot], real: float | None, title: str, across: str, up: str
) -> Figure:
    """Draw ways to write under a title; the rest is as of :func:`draw_pareto`."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    figure.suptitle(named(title), fontsize=10)
    draw_pareto(figure.subplots(), dots, front, real, across, up)
    return figure


def draw_pareto(
    axes: Axes, dots: Sequence[Dot], front: Sequence[Dot], real: float | None, across: str, up: str
) -> None:
    """Draw ways to write.

    Args:
        axes: Where.
        dots: All that were tried.
        front: Those that no other beats in both, fastest first; joined by steps.
        real: Bits per byte of real text, a line; ``None``: no line.
        across: What the times are.
        up: What the bits are.
    """
    for number, group in enumerate(dict.fromkeys(dot.group for dot in (*dots, *front))):
        turn = number // len(COLOURS)  # a colour that comes again has another shape
        style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[(number + turn) % len(MARKERS)]}
        for hollow in (False, True):
            label = named(f"{group}, collapsed" if hollow else group)
            for some, shade in ((dots, _TRIED), (front, 1.0)):
                mine = [dot for dot in some if dot.group == group and dot.hollow == hollow]
                look = {**style, "alpha": shade, **({"markerfacecolor": "none"} if hollow else {})}
                if mine:
                    x, y = [dot.ms for dot in mine], [dot.bits for dot in mine]
                    axes.plot(x, y, linestyle="none", markersize=5, label=label, **look)
                    label = None
    if front:
        axes.step([dot.ms for dot in front], [dot.bits for dot in front], where="post", color=GREY, linewidth=1)
    if real is not None:
        axes.axhline(real, color=GREY, linestyle="--", linewidth=1, label="real text")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12, y=0.12)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    legend = axes.legend(fontsize=7, frameon=False)
    axes.figure.draw_without_rendering()  # now the axes are where they will be
    label_points(axes, [(dot.ms, dot.bits, dot.label) for dot in front], [legend.get_window_extent()], fontsize=7)
