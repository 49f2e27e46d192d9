"""Draw the eco page's picture: docs/img/eco_scaling.svg from benchmarks/results/eco_scaling.json.

python -m benchmarks.studies.eco.draw_scaling
"""

from __future__ import annotations

import json
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import ScalarFormatter  # noqa: E402

from benchmarks.lib.places import IMAGES, RESULTS

PICTURE = IMAGES / "eco_scaling.svg"
COLOURS = {"transformer": "#5b7fd9", "eco": "#c0504d", "no attention": "#8a8a8a", "no branch": "#c9c9c9"}
LINES = {"training step": "-", "forward": "--"}


def main() -> None:
    """Time of a token against the length of its text, a panel a size."""
    rows = json.loads((RESULTS / "eco_scaling.json").read_text())["rows"]
    found: dict[str, dict[tuple[str, str], list[tuple[int, dict[str, Any]]]]] = {}
    for row in rows:
        size, kind, length, name = row["case"].split(", ")
        found.setdefault(size, {}).setdefault((kind, name), []).append((int(length.removeprefix("T = ")), row))
    figure, panels = pyplot.subplots(1, len(found), figsize=(11, 4.4), squeeze=False)
    for axes, (size, curves) in zip(panels[0], found.items(), strict=True):
        for kind, style in LINES.items():
            for name, colour in COLOURS.items():
                points = curves[kind, name]
                x = [length for length, _ in points]
                label = name if kind == "training step" else None
                axes.plot(x, [row["median"] for _, row in points], style, color=colour, marker=".", label=label)
                low, high = ([row["quartiles"][end] for _, row in points] for end in (0, 1))
                axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(ScalarFormatter())
        axes.set_xlabel("tokens of a text (T)")
        axes.set_ylabel("microseconds a token")
        axes.set_title(f"{size} (line: training step, dashed: forward)", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(frameon=False)
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
