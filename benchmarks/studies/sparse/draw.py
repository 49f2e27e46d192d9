"""Draw the sparse page's picture: docs/img/sparse.svg from benchmarks/results/text_quality.json.

python -m benchmarks.studies.sparse.draw
"""

from __future__ import annotations

import json
import statistics
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from benchmarks.lib.places import IMAGES, RESULTS

PICTURE = IMAGES / "sparse.svg"
COLOURS = {"masked": "#5b7fd9", "sparse": "#c0504d", "sparse, candidates not carried": "#c9b866"}


def main() -> None:
    """Left: what steps buy. Right: where texts lie between real text and collapse."""
    rows: dict[str, Any] = json.loads((RESULTS / "text_quality.json").read_text())["rows"]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12.5, 4.2), width_ratios=(1, 1))
    for label, colour in COLOURS.items():
        by_steps: dict[int, list[float]] = {}
        for key, row in rows.items():
            name, *rest = key.split(" | ")
            if name == label and len(rest) == 2:
                by_steps.setdefault(int(rest[1].split()[0]), []).append(row["n-gram judge"])
        steps = sorted(by_steps)
        means = [statistics.mean(by_steps[n]) for n in steps]
        left.plot(steps, means, "-", color=colour, label=label)
        for n in steps:
            left.plot([n] * len(by_steps[n]), by_steps[n], "o", color=colour, markersize=3)
    left.set_xscale("log", base=2)
    left.set_xticks([4, 8, 16, 32, 64], ["4", "8", "16", "32", "64"])
    left.set_xlabel("steps for 96 tokens")
    left.set_ylabel("judge, bits per byte (real text 1.8)")
    left.legend(frameon=False)

    real = rows["real text"]
    right.axvline(real["entropy"], color="#999999", linewidth=0.8)
    right.axhline(real["n-gram judge"], color="#999999", linewidth=0.8)
    right.plot(real["entropy"], real["n-gram judge"], "*", color="black", markersize=12, label="real text")
    groups: dict[str, list[tuple[float, float]]] = {}
    for key, row in rows.items():
        name, *rest = key.split(" | ")
        if rest and (name.startswith("original") or (name in ("masked", "sparse") and rest[-1] == "64 steps")):
            groups.setdefault(name, []).append((row["entropy"], row["n-gram judge"]))
    for name, points in groups.items():
        right.plot(*zip(*points, strict=True), "o", markersize=5, label=name)
    right.set_xlabel("entropy, bits a word")
    right.set_ylabel("judge, bits per byte")
    right.set_yscale("log")
    right.set_yticks([2, 3, 5, 10, 20], ["2", "3", "5", "10", "20"])
    right.minorticks_off()
    right.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
