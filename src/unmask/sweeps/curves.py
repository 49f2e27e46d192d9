"""The pictures of a sweep: the metric against each axis of the grid, and the training curves."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from unmask.pictures.labels import named
from unmask.pictures.style import COLOURS, LINES, MARKERS, new_axes, to_uri
from unmask.sweeps.results import Configuration, SweepResult

_NAMED = 12
"""More lines than this get no legend: nobody could tell them apart."""


def pictures(sweep: SweepResult) -> list[tuple[str, str, str]]:
    """Return (title, description for those who cannot see it, data URI) of each picture that has something to show."""
    found = []
    axes = dict.fromkeys(axis for each in sweep.configurations for axis in each.values)
    for axis in axes:
        if len({each.values[axis] for each in sweep.configurations}) > 1:
            title = f"Bits per byte against {axis}"
            found.append((title, _describe(sweep.configurations, axis), to_uri(_against(sweep.configurations, axis))))
    if any("valid_nats_per_token" in row for rows in sweep.curves.values() for row in rows):
        about = "Held-out nats a token of each row against training tokens; a cross ends a row that was stopped."
        found.append(("Training", about, to_uri(_curves(sweep))))
    return found


def _describe(configurations: list[Configuration], axis: str) -> str:
    return "; ".join(f"{each.label}: {each.bits_per_byte:.3f} ({each.bound})" for each in configurations) + "."


def _against(configurations: list[Configuration], axis: str) -> Figure:
    """A line for each choice of the other axes and kind of number; a dot a seed, the line through the means."""
    words = list(dict.fromkeys(each.values[axis] for each in configurations))
    numeric = all(axis in each.numbers for each in configurations)
    lines: dict[tuple[str, str], list[Configuration]] = {}
    for each in configurations:
        rest = ", ".join(f"{_tail(key)}={value}" for key, value in each.values.items() if key != axis)
        lines.setdefault((rest, each.bound), []).append(each)
    figure, axes = new_axes(3.6 + (0.16 * len(lines) if 1 < len(lines) <= _NAMED else 0))
    for number, ((rest, bound), group) in enumerate(lines.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        face = colour if bound.startswith("exact") else "white"
        place = {each.label: each.numbers[axis] if numeric else words.index(each.values[axis]) for each in group}
        group = sorted(group, key=lambda each: place[each.label])
        for each in group:
            axes.plot([place[each.label]] * len(each.per_seed), each.per_seed, ".", color=colour, alpha=0.5)
        axes.plot(
            [place[each.label] for each in group],
            [each.bits_per_byte for each in group],
            color=colour,
            marker=marker,
            markerfacecolor=face,
            linestyle=LINES[number % len(LINES)],
            label=named(f"{rest or 'all rows'} ({bound})"),
        )
    if not numeric:
        axes.set_xticks(range(len(words)), [named(str(word)) for word in words], rotation=0 if len(words) < 6 else 30)
        axes.set_xlim(-0.5, len(words) - 0.5)
    axes.set_xlabel(named(axis))
    axes.set_ylabel("bits per byte")
    if 1 < len(lines) <= _NAMED:
        figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def _tail(axis: str) -> str:
    return axis.rpartition(".")[2]


def _curves(sweep: SweepResult) -> Figure:
    """A line a row; seeds of one configuration share its colour."""
    names = list(dict.fromkeys(row.configuration for row in sweep.rows))
    drawn: set[str] = set()
    figure, axes = new_axes(3.6 + (0.16 * len(names) if 1 < len(names) <= _NAMED else 0))
    for row in sweep.rows:
        points = [(m["tokens"], m["valid_nats_per_token"]) for m in sweep.curves.get(row.label, []) if _scored(m)]
        if not points:
            continue
        number = names.index(row.configuration)
        label = None if row.configuration in drawn else named(row.configuration)
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(
            *zip(*points, strict=True),
            color=colour,
            linestyle=LINES[number // len(COLOURS) % len(LINES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linewidth=1.2,
            label=label,
        )
        drawn.add(row.configuration)
        if row.status == "stopped":
            axes.plot(*points[-1], marker="x", color=colour, markersize=10, markeredgewidth=2)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlim(left=0)
    axes.set_xlabel("training tokens")
    axes.set_ylabel("held-out nats a token")
    if 1 < len(names) <= _NAMED:
        figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def _scored(metrics: dict[str, object]) -> bool:
    return "valid_nats_per_token" in metrics
