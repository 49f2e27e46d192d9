"""Draw the page's picture: docs/img/qcontroller.png from benchmarks/results/qcontroller.json.

python -m benchmarks.studies.qcontroller.draw
"""

from __future__ import annotations

import json
from statistics import fmean, stdev

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from benchmarks.lib.places import IMAGES, RESULTS

PICTURE = IMAGES / "qcontroller.png"
TITLES = {"sgd": "SGD, momentum 0.9", "adamw": "AdamW"}
LINES = {
    "constant": ("#8a8a8a", "-"),
    "cosine": ("#8a8a8a", "--"),
    "random": ("#c9a227", ":"),
    "original": ("#5b7fd9", "-"),
    "mended": ("#c0504d", "--"),
    "mended, alpha 0.5, gamma 0": ("#c0504d", "-"),
    "hypergradient": ("#4f9d69", "-"),
    "best fixed action": ("#333333", ":"),
    "schedule-free": ("#8e6bbf", "-"),
    "prodigy, cosine": ("#8e6bbf", "--"),
}
BANDS = ("mended, alpha 0.5, gamma 0", "random", "hypergradient")


def main() -> None:
    """Held-out bits a byte over the base rate, a panel an optimiser; bands are the seeds' standard deviation."""
    stored = json.loads((RESULTS / "qcontroller.json").read_text())
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 4), sharey=True)
    for axes, (family, title) in zip(panels, TITLES.items(), strict=True):
        rates, cells = stored[family]["rates"], stored[family]["cells"]
        for name, (colour, style) in LINES.items():
            if name not in cells:
                continue
            found = cells[name] * (len(rates) if len(cells[name]) == 1 else 1)
            means = [fmean(cell["bits"]) for cell in found]
            wide = [stdev(cell["bits"]) for cell in found]
            axes.plot(rates, means, style, color=colour, label=name, linewidth=1.6 if "mended" in name else 1.2)
            if name not in BANDS:
                continue
            low, high = ([m + sign * w for m, w in zip(means, wide, strict=True)] for sign in (-1, 1))
            axes.fill_between(rates, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set_xscale("log")
        axes.set_xlabel("base learning rate")
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("held-out bits a byte after 200 steps")
    panels[1].legend(frameon=False, fontsize=7)
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=72, metadata={"Software": None})


if __name__ == "__main__":
    main()
