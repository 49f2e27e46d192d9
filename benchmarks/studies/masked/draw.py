"""Draw the ablation of the masked process: docs/img/ablate_masked.svg from benchmarks/results/ablate_masked.json.

python -m benchmarks.studies.masked.draw
"""

from __future__ import annotations

import json
import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from benchmarks.lib.places import IMAGES, RESULTS

PICTURE = IMAGES / "ablate_masked.svg"


def main() -> None:
    """Draw one dot a seed and one bar a row."""
    stored = json.loads((RESULTS / "ablate_masked.json").read_text())
    rows: dict[str, list[float]] = {}
    for key, entry in stored["rows"].items():
        rows.setdefault(key.split(" | ")[0], []).append(entry["bits_per_byte"])
    names = list(rows)[::-1]
    figure, axes = pyplot.subplots(figsize=(8, 0.36 * len(names) + 1))
    colours = ["#c9b866" if name == "causal" else "#5b7fd9" for name in names]
    axes.barh(names, [statistics.mean(rows[n]) for n in names], color=colours, alpha=0.45)
    for place, name in enumerate(names):
        axes.plot(rows[name], [place] * len(rows[name]), "o", color="black", markersize=3)
    axes.set_xlim(left=1.5)
    axes.set_xlabel("bits per byte, held-out (causal: exact; masked: upper bound); dots: seeds")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
