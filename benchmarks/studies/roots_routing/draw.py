"""Draw what routers find, from the results of ``partitions.py``: docs/img/roots-routing.svg.

    python -m benchmarks.studies.roots_routing.draw

Left: share of the true nearest ten over share of the vectors scanned. Right: the same at 5 % scanned over the bytes
that the router keeps, for more and more shelves and for more about each shelf.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "unmask"})
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import PercentFormatter  # noqa: E402

from benchmarks.lib.places import IMAGES, RESULTS  # noqa: E402

RESULT = RESULTS / "partitions.json"
PICTURE = IMAGES / "roots-routing.svg"
LINES = {
    ("ising", "moments, exact"): ("Ising cut, moments (exact)", "#7a3e9d", "-"),
    ("balanced_kmeans", "moments, exact"): ("balanced k-means, moments (exact)", "#1f6f4a", "-"),
    ("balanced_kmeans", "moments, rank 4"): ("balanced k-means, moments, rank 4", "#1f6f4a", "--"),
    ("balanced_kmeans", "centroid"): ("balanced k-means, centroid", "#1f6f4a", ":"),
    ("faiss IVF", "its own"): ("faiss IVF", "#c46a1b", ":"),
    ("random", "moments, exact"): ("random shelves, moments (exact)", "#777777", "-"),
    ("random", "centroid"): ("random shelves, centroid", "#777777", ":"),
}


def main() -> None:
    """Draw both panels."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURE)
    given = parser.parse_args()
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.4))
    draw_recall(left, stored)
    draw_bytes(right, stored)
    figure.tight_layout()
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, metadata={"Date": None})


def draw_recall(axes: Any, stored: dict[str, Any]) -> None:
    """Recall over the share that is scanned, K = 64."""
    for (partition, router), (label, colour, style) in LINES.items():
        rows = [row for row in stored["grid"] if (row["partition"], row["router"]) == (partition, router)]
        curve = np.mean([row["curve"] for row in rows], 0)
        axes.plot(stored["settings"]["curve"], curve, style, color=colour, label=label)
    axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=0.8, label="chance")
    axes.set_xlim(0, 0.4)
    axes.set_ylim(0, 1)
    axes.set_xlabel("vectors scanned")
    axes.set_ylabel("true nearest ten found")
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_title(f"{stored['settings']['shelves']} shelves", fontsize=10)
    axes.legend(fontsize=7.5, loc="lower right")


def draw_bytes(axes: Any, stored: dict[str, Any]) -> None:
    """Recall at 5 % over the router's bytes."""
    rows, at = stored["by bytes"], stored["settings"]["shares"].index(0.05)
    colours = {"centroid": "#c46a1b", "rank 0": "#b03a5b", "rank 4": "#1f6f4a", "rank 16": "#355f8d"}
    for kind, colour in colours.items():
        name = kind if kind == "centroid" else f"moments, {kind}"
        counts = sorted({row["shelves"] for row in rows if row["router"] == name})
        mine = [[row for row in rows if row["router"] == name and row["shelves"] == k] for k in counts]
        kept = [members[0]["bytes"] / 1024 for members in mine]
        found = [np.mean([row["recall"][at] for row in members]) for members in mine]
        axes.plot(kept, found, "o-", color=colour, markersize=3.5, label=name)
        for k, x, y in zip(counts, kept, found, strict=True):
            axes.annotate(str(k), (x, y), fontsize=7, color=colour, xytext=(3, -9), textcoords="offset points")
    axes.set_xscale("log")
    axes.set_xlabel("KiB that the router keeps (float32); numbers: shelves")
    axes.set_ylabel("true nearest ten found, 5 % scanned")
    axes.set_title("more shelves, or more about each shelf", fontsize=10)
    axes.legend(fontsize=7.5, loc="lower right")


if __name__ == "__main__":
    main()
