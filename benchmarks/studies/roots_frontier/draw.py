"""Draw the frontier from the results of ``frontier.py``: docs/img/roots-frontier.svg.

    python -m benchmarks.studies.roots_frontier.draw

Left and middle: share of the true nearest ten over the bytes of vectors and codes that a query goes over. Right: over
the bytes that stay in memory; lists and shelves where a tenth of the texts is read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "unmask"})
from matplotlib import pyplot  # noqa: E402

from benchmarks.lib.places import IMAGES, RESULTS  # noqa: E402
from unmask.pictures.labels import label_points  # noqa: E402

RESULT = RESULTS / "roots_frontier.json"
PICTURE = IMAGES / "roots-frontier.svg"
LINES = {
    "ROOTS kmeans, 4 K, moments": ("#1f6f4a", "-", "ROOTS, 4 K shelves, moments"),
    "ROOTS kmeans, moments": ("#1f6f4a", "--", "ROOTS, K shelves, moments (the default)"),
    "ROOTS kmeans, centroid": ("#1f6f4a", ":", "ROOTS, K shelves, centroid"),
    "IVF, int8, lists cut": ("#c46a1b", "--", "IVF, int8"),
    "faiss IVF, float32": ("#c46a1b", "-", "faiss IVF, float32"),
    "faiss IVF-PQ, 32 B": ("#355f8d", "-", "faiss IVF-PQ, 32 B"),
    "faiss IVF-RaBitQ": ("#7a3e9d", "-", "faiss IVF-RaBitQ, 40 B"),
    "ROOTS random shelves (control), moments": ("#999999", ":", "random shelves (control)"),
}
POINTS = {
    "PQ, 8 B": ("#355f8d", "o"),
    "PQ, 16 B": ("#355f8d", "s"),
    "PQ, 32 B": ("#355f8d", "D"),
    "RaBitQ, 40 B": ("#7a3e9d", "o"),
    "PQ, 16 B, best 100 scored again": ("#b03a5b", "s"),
    "PQ, 32 B, best 100 scored again": ("#b03a5b", "D"),
    "RaBitQ, 40 B, best 100 scored again": ("#b03a5b", "o"),
    "flat, int8": ("#000000", "x"),
}
PANELS = ("pydocs", "cranfield")


def main() -> None:
    """Draw a panel for each of two corpora over bytes read, and one over bytes in memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURE)
    given = parser.parse_args()
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["rows"]
    figure, axes = pyplot.subplots(1, 3, figsize=(14, 4.6), sharey=True)
    for place, name in zip(axes, PANELS, strict=False):
        draw(place, [row for row in rows if row["questions"] == name], "read")
        place.set_title(f"{name}: bytes that a query goes over", fontsize=10)
    marked = draw(axes[2], [row for row in rows if row["questions"] == "pydocs"], "resident", "10%")
    axes[2].set_title("pydocs: bytes in memory (lists and shelves: 10 % read)", fontsize=10)
    axes[0].set_ylabel("true nearest ten found")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7.5, ncol=6, loc="lower center")
    figure.tight_layout(rect=(0, 0.13, 1, 1))
    label_points(axes[2], marked, fontsize=6)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, metadata={"Date": None})


def draw(axes: Any, rows: list[dict[str, Any]], over: str, at: str | None = None) -> list[tuple[float, float, str]]:
    """Draw recall over KiB, and return what to label; with ``at`` only that setting of the rivals that have one."""
    marked: list[tuple[float, float, str]] = []
    for name, (colour, style, label) in LINES.items():
        mine = [row for row in rows if row["entrant"] == name and row["recall"] is not None]
        if at is None:
            x, y = [row["read"] / 1024 for row in mine], [row["recall"] for row in mine]
            axes.plot(x, y, style, color=colour, label=label, marker=".", markersize=4)
        else:
            nearest = min(mine, key=lambda row: abs(row["share"] - 0.1))
            axes.plot(nearest[over] / 1024, nearest["recall"], "^", color=colour, markersize=6)
            marked.append((nearest[over] / 1024, nearest["recall"], label))
    for name, (colour, marker) in POINTS.items():
        mine = [row for row in rows if row["entrant"] == name]
        x, y = [row[over] / 1024 for row in mine], [row["recall"] for row in mine]
        axes.plot(x, y, marker, color=colour, label=name, markersize=5)
        marked += [(one, other, "") for one, other in zip(x, y, strict=True)]
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("KiB")
    return marked


if __name__ == "__main__":
    main()
