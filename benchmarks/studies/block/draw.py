r"""Draw what blocks cost over training: docs/img/block_gap.svg from the rows that ``ablate`` stored, and its table.

    python -m benchmarks.studies.block.ablate --source SOURCE --valid VALID --seeds 1 --steps N \
        --only '^(causal|block 4|masked)$' --results benchmarks/results/block_gap.json    # N: 200, 800, 1600
    python -m benchmarks.studies.block.draw

Also prints how many tokens, and so how much time, each training needs for the bits that causal training has at 400
steps: on a straight line in the logarithm of tokens between stored rows. The price of a step is that of
``train_cost``; blocks of 4 have that of the whole recipe of blocks of 8, whose passes are as long.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from statistics import mean

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.lib.places import IMAGES, RESULTS
from unmask.pictures.style import look

PICTURE = IMAGES / "block_gap.svg"
DRAWN = {
    "causal, exact": ("causal", "bits_per_byte"),
    "block 4, left to right, exact": ("block 4", "left_to_right"),
    "block 4, upper bound": ("block 4", "bits_per_byte"),
    "masked, upper bound": ("masked", "bits_per_byte"),
}
AT = 400
"""Steps of the causal row whose bits the others are asked to reach."""


def courses() -> dict[str, tuple[list[float], list[float]]]:
    """Return (million tokens, bits per byte) of each drawn number, means over seeds."""
    files = [json.loads((RESULTS / name).read_text()) for name in ("ablate_block.json", "block_gap.json")]
    rows = files[0]["rows"] | files[1]["rows"]
    found: dict[str, tuple[list[float], list[float]]] = {}
    for label, (row, key) in DRAWN.items():
        at = defaultdict(list)
        for name, one in rows.items():
            if re.fullmatch(re.escape(row) + r" \| seed \d+ \| \d+ steps", name):
                at[one["tokens_seen"] / 1e6].append(one[key])
        found[label] = (sorted(at), [mean(at[tokens]) for tokens in sorted(at)])
    return found


def tokens_for(bits: float, course: tuple[list[float], list[float]]) -> float | None:
    """Return the million tokens at which a course passes some bits; ``None``: behind its end."""
    tokens, seen = course
    if not min(seen) <= bits <= max(seen):
        return None
    return float(np.exp(np.interp(-bits, [-value for value in seen], np.log(tokens))))


def main() -> None:
    """Draw, and print the tokens and the time to equal bits."""
    found = courses()
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="training tokens, millions", ylabel="bits per byte, held out")
    for number, (label, (tokens, bits)) in enumerate(found.items()):
        axes.plot(tokens, bits, label=label, markersize=5, **look(number))
    ticks = found["causal, exact"][0]
    axes.set_xticks(ticks, [f"{tick:.1f}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    with matplotlib.rc_context({"svg.hashsalt": "unmask"}):
        figure.savefig(PICTURE, metadata={"Date": None})

    cost = {
        (one["network"], one["row"]): one["ratio"]
        for one in json.loads((RESULTS / "block_train_cost.json").read_text())["rows"]
    }
    price = {
        "block 4": cost["nano", "block 8, whole recipe"],
        "masked": cost["nano", "masked, whole recipe"],
        "causal": 1,
    }
    tokens, bits = found["causal, exact"]
    goal = bits[int(np.argmin([abs(one - 2048e-6 * AT) for one in tokens]))]
    print(f"| to {goal:.3f} bits per byte | million tokens | time, causal training 1 |\n|---|---|---|")
    base = tokens_for(goal, found["causal, exact"])
    for label, course in found.items():
        need = tokens_for(goal, course)
        if need is None or base is None:
            print(f"| {label} | not by {course[0][-1]:.1f} | - |")
        else:
            print(f"| {label} | {need:.2f} | {need / base * price[DRAWN[label][0]]:.1f} |")


if __name__ == "__main__":
    main()
