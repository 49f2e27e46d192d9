"""Draw the certificates: docs/img/certify.svg from benchmarks/results/certify.json, which `unmask certify` writes.

python -m benchmarks.studies.certify.draw
"""

from __future__ import annotations

import json
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from benchmarks.lib.places import IMAGES, RESULTS

PICTURE = IMAGES / "certify.svg"
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#666666", "#000000", "#8B6C42", "#7A5FD0")
MARKERS = "osv^DPXhp*"
LOWEST = 0.006
"""The axis ends here: a lower limit of 0 has no place on a logarithmic one."""


def main() -> None:
    """Draw one panel a world: distance from the truth against steps, a line a sampler, bands as bars."""
    recorded = json.loads((RESULTS / "certify.json").read_text())["certificates"]
    certificates = [
        c
        for c in recorded
        if c["sampler"] not in ("block", "speculative") and not {"accept", "stop_after"} & set(c["settings"])
    ]  # their steps are those of a block, or they are many: in the tables alone
    worlds = list(dict.fromkeys(c["world"] for c in certificates))
    names = list(dict.fromkeys(c["name"] for c in certificates))
    figure, panels = pyplot.subplots(1, len(worlds), figsize=(5.2 * len(worlds), 7.0), sharey=True, squeeze=False)
    for axes, world in zip(panels[0], worlds, strict=True):
        own = [c for c in certificates if c["world"] == world]
        for certificate in own:
            _draw(axes, certificate, names.index(certificate["name"]))
        axes.axhspan(LOWEST, own[0]["floor"], color="#999999", alpha=0.25, label="exact texts (noise floor)")
        axes.axhline(own[0]["independent"], color="black", linestyle=":", linewidth=1, label="independent words")
        axes.set_title(f"world {world}", fontsize=10)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(LOWEST, 1)
        steps = sorted({cell["steps"] for c in own for cell in c["cells"] if cell["steps"]})
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.set_xlabel("steps")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("total variation from the truth")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=2, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.3, 1, 1))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    matplotlib.rcParams["svg.hashsalt"] = "unmask"
    figure.savefig(PICTURE, metadata={"Date": None})


def _draw(axes: Axes, certificate: dict[str, Any], number: int) -> None:
    colour, turn = number % len(COLOURS), number // len(COLOURS)  # no two share colour and marker
    look = {"color": COLOURS[colour], "marker": MARKERS[(colour + 3 * turn) % len(MARKERS)], "markersize": 4}
    cells = certificate["cells"]
    values = [cell["tv"]["value"] for cell in cells]
    if cells[0]["steps"] is None:  # no steps: as many as it took
        axes.plot([cells[0]["forwards"]], values, linestyle="none", label=certificate["name"], **look)
        return
    steps = [cell["steps"] for cell in cells]
    bars = [
        [v - max(cell["tv"]["low"], LOWEST) for v, cell in zip(values, cells, strict=True)],
        [cell["tv"]["high"] - v for v, cell in zip(values, cells, strict=True)],
    ]
    axes.errorbar(
        steps,
        values,
        bars,
        linestyle=("-", "-.")[turn % 2],
        linewidth=1.2,
        capsize=2,
        label=certificate["name"],
        **look,
    )
    if certificate["promise"] in ("reverse", "process"):
        axes.plot(steps, [cell["predicted"] for cell in cells], color=look["color"], linestyle="--", linewidth=1)


if __name__ == "__main__":
    main()
