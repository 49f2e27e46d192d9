"""The pictures of a report: bits per byte, training, speed and quality, restored text, calibration."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from unmask.pictures.labels import label_points, named
from unmask.pictures.style import COLOURS, GREY, look, new_axes, to_uri
from unmask.reports.rows import CompareResult, Row, sharpest


def pictures(comparison: CompareResult) -> list[tuple[str, str, str]]:
    """Return (title, description for those who cannot see it, data URI) of each picture that has something to show."""
    found = [
        ("Bits per byte", _describe_bits(comparison), _bits(comparison)),
        ("Training loss", "Loss of each run against its own training tokens.", _curves(comparison)),
        (
            "Speed and quality",
            "Tokens a second, where no load disturbed them, against the judge's bits per byte of the text, by way.",
            _trade(comparison),
        ),
        (
            "Restored text by noise level",
            "Accuracy at hidden positions against the share of the text that is hidden, beside the unigram.",
            _restored(comparison),
        ),
        (
            "Confidence against accuracy",
            "Reliability at corrupted positions, all noise levels together; a calibrated model lies on the diagonal.",
            _reliability(comparison),
        ),
    ]
    return [(title, text, to_uri(figure)) for title, text, figure in found if figure is not None]


def _bits(comparison: CompareResult) -> Figure:
    """A dot a run with its interval, a hollow one for bounds; controls as grey lines of the same list."""
    controls = [c for c in comparison.controls if c.bits_per_byte is not None]
    entries: Sequence[tuple[str, float, tuple[float, float] | None, str, str]] = [
        *(
            (row.name, row.bits_per_byte, row.interval, row.bound, COLOURS[number % len(COLOURS)])
            for number, row in enumerate(comparison.rows)
        ),
        *((c.name, c.bits_per_byte or 0.0, c.interval, c.bound, GREY) for c in controls),
    ]
    figure, axes = new_axes(0.9 + 0.34 * len(entries))
    for place, (_, value, interval, bound, colour) in enumerate(entries):
        low, high = interval or (value, value)
        face = colour if bound.startswith("exact") else "white"
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot(value, place, marker="o", color=colour, markerfacecolor=face, markersize=7)
        sign = "≤ " if bound == "upper bound" else ""
        axes.annotate(f"{sign}{value:.2f}", (high, place), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(entries)), [named(entry[0]) for entry in entries])
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlim(0, 1.12 * max(entry[1] for entry in entries))
    axes.set_xlabel("bits per byte (hollow: upper bound; grey: control)")
    return figure


def _describe_bits(comparison: CompareResult) -> str:
    return "; ".join(f"{row.name}: {row.bits_per_byte:.2f} ({row.bound})" for row in comparison.rows) + "."


def _curves(comparison: CompareResult) -> Figure | None:
    figure, axes = new_axes(3.6)
    drawn = False
    for number, (name, rows) in enumerate(comparison.curves.items()):
        style = look(number)
        train = [(row["tokens"], row["loss"]) for row in rows if "loss" in row]
        valid = [(row["tokens"], row["valid_nats_per_token"]) for row in rows if "valid_nats_per_token" in row]
        if train:
            axes.plot(
                *zip(*train, strict=True),
                color=style["color"],
                linestyle=style["linestyle"],
                linewidth=1,
                alpha=0.6,
                label=named(f"{name}: training loss"),
            )
        if valid:
            axes.plot(*zip(*valid, strict=True), **style, linewidth=1.5, markersize=6, label=named(f"{name}: held out"))
        drawn = drawn or bool(train or valid)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("training tokens")
    axes.set_ylabel("nats a token")
    axes.legend(fontsize=8, frameon=False)
    return figure if drawn else None


def _trade(comparison: CompareResult) -> Figure | None:
    """Throughput at the middle batch against the first judge, with real text as a line."""
    judges = list(comparison.rows[0].generation[0].judges)
    batches = [cell.batch for cell in comparison.rows[0].generation[0].latency]
    if not judges or not batches:
        return None
    every = [cell for row in comparison.rows for text in row.generation for cell in text.latency]
    if all(cell.contended for cell in every if cell.batch == batches[len(batches) // 2]):
        return None  # timed under load: no order of speed is shown
    judge, batch = sharpest(comparison.controls, judges) or judges[0], batches[len(batches) // 2]
    figure, axes = new_axes(3.8)
    marked = list[tuple[float, float, str]]()
    for number, row in enumerate(comparison.rows):
        points = _points(row, judge, batch)
        style = look(number)
        axes.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            color=style["color"],
            marker=style["marker"],
            linestyle="none",
            label=named(row.name),
        )
        marked += points
    real = next((c.text.judges[judge] for c in comparison.controls if c.name == "real text" and c.text), None)
    if real is not None:
        axes.axhline(real, color=GREY, linestyle="--", linewidth=1)
        told = axes.annotate(
            "real text", (0.01, real), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=GREY
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.2, y=0.15)
    axes.set_xlabel(f"tokens a second, batch {batch}")
    axes.set_ylabel(named(f"bits per byte under the {judge}"))
    legend = axes.legend(fontsize=8, frameon=False)
    figure.draw_without_rendering()  # now the axes are where they will be
    taken = [legend.get_window_extent(), *([told.get_window_extent()] if real is not None else [])]
    label_points(axes, marked, taken, fontsize=8)
    return figure


def _restored(comparison: CompareResult) -> Figure | None:
    """One line a run that has noise levels; a dashed level for one that has a single one; the unigram in grey."""
    figure, axes = new_axes(3.6)
    drawn, marked = False, list[tuple[float, str]]()
    for number, row in enumerate(comparison.rows):
        levels = [] if row.denoising is None else [x for x in row.denoising.levels if x.accuracy is not None]
        style = look(number)
        if len(levels) == 1:
            axes.axhline(levels[0].accuracy or 0.0, color=style["color"], linestyle="--", linewidth=1)
            marked.append((levels[0].accuracy or 0.0, f"{row.name}, {levels[0].name}"))
            drawn = True
        elif levels:
            at = list(range(len(levels)))
            axes.plot(at, [x.accuracy for x in levels], **style, linewidth=1.5, label=named(row.name))
            spans = [x.accuracy_interval or (x.accuracy, x.accuracy) for x in levels]
            axes.fill_between(at, [s[0] for s in spans], [s[1] for s in spans], color=style["color"], alpha=0.15)
            axes.plot(at, [x.unigram_accuracy for x in levels], color=GREY, linestyle=":", linewidth=1)
            axes.set_xticks(at, [x.name for x in levels], fontsize=8)
            drawn = True
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share hidden (dotted grey: the most frequent token)")
    axes.set_ylabel("accuracy at hidden positions")
    taken = [axes.legend(fontsize=8, frameon=False)] if axes.get_legend_handles_labels()[0] else []
    figure.draw_without_rendering()  # now the axes are where they will be
    left = axes.get_xlim()[0]
    label_points(axes, [(left, y, text) for y, text in marked], [x.get_window_extent() for x in taken], fontsize=8)
    return figure if drawn else None


def _reliability(comparison: CompareResult) -> Figure | None:
    figure, axes = new_axes(3.6)
    drawn = False
    for number, row in enumerate(comparison.rows):
        curve = [] if row.calibration is None else row.calibration.overall.curve
        if curve:
            ece = row.calibration.overall.scores.ece if row.calibration and row.calibration.overall.scores else 0.0
            label = named(f"{row.name}: ECE {ece:.3f}")
            axes.plot([p.confidence for p in curve], [p.accuracy for p in curve], **look(number), label=label)
            drawn = True
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    if drawn:
        axes.legend(fontsize=8, frameon=False)
    return figure if drawn else None


def _points(row: Row, judge: str, batch: int) -> list[tuple[float, float, str]]:
    points = []
    for text in row.generation:
        bits = text.judges[judge]
        timed = (cell for cell in text.latency if cell.batch == batch and not cell.contended)
        speed = next((cell.tokens_per_second for cell in timed), None)
        if bits is not None and speed is not None:
            points.append((speed, bits, text.sampler if text.steps is None else f"{text.sampler} {text.steps}"))
    return points
