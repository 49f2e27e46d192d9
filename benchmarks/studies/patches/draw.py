"""Draw where patchers cut a text, over the entropy that the cuts of Babylon come from: docs/img/patches.svg.

    python -m benchmarks.studies.patches.draw --source tinyshakespeare.txt

An order-5 n-gram model is fitted on the first 80 % of the text, thetas are found on the next 10 % for four bytes a
patch, and lines of the last 10 % are drawn. A bar is H before its byte is read, in bits; it is dark where Babylon's
threshold makes a patch begin. Below, each row is a patcher, and each block a patch.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from benchmarks.lib.places import IMAGES
from unmask.data.ngram import ByteNgram  # noqa: E402
from unmask.data.ngram_entropy import NgramEntropy  # noqa: E402
from unmask.data.patches import make_patcher  # noqa: E402
from unmask.data.patches.calibrate import calibrate  # noqa: E402
from unmask.data.patches.chance import like  # noqa: E402
from unmask.pictures.patches import draw_entropy, draw_letters, draw_patches, letters  # noqa: E402

PICTURE = IMAGES / "patches.svg"


def main() -> None:
    """Draw two stretches of the text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--at", type=int, default=200, help="first byte that is drawn, counted in the last 10 %%")
    parser.add_argument("--bytes", type=int, default=90, help="bytes a stretch")
    parser.add_argument("--output", type=Path, default=PICTURE)
    given = parser.parse_args()
    data = given.source.read_bytes()
    learn, held, tail = (data[len(data) * a // 10 : len(data) * b // 10] for a, b in ((0, 8), (8, 9), (9, 10)))
    entropy = NgramEntropy(ByteNgram(5).fit([learn]))
    babylon = calibrate(make_patcher("babylon", {}, entropy), [held], 4.0)
    rows = {
        "babylon, threshold": babylon,
        "babylon, jump": calibrate(make_patcher("babylon", {"rule": "jump"}, entropy), [held], 4.0),
        "whitespace": make_patcher("whitespace"),
        "delimiter": make_patcher("delimiter"),
        "fixed, 4": make_patcher("fixed", {"stride": 4}),
        "random": like(babylon, [held], seed=1),
    }
    cuts = {name: part.starts(tail) for name, part in rows.items()}
    h = entropy.entropy(tail) / np.log(2)
    figure, panels = pyplot.subplots(
        4, 1, figsize=(13, 8.4), gridspec_kw={"height_ratios": [2.2, 1.6] * 2, "hspace": 0.28}
    )
    for stretch in range(2):
        place = slice(given.at + stretch * given.bytes, given.at + (stretch + 1) * given.bytes)
        stretch_of(
            panels[2 * stretch],
            panels[2 * stretch + 1],
            tail[place],
            h[place],
            babylon.options.theta,
            {name: starts[place] for name, starts in cuts.items()},
        )
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, metadata={"Date": None}, bbox_inches="tight")


def stretch_of(bars: Any, blocks: Any, data: bytes, h: Any, theta: float, cuts: dict[str, Any]) -> None:
    """Draw one stretch: the entropies, and under them the patches of each patcher."""
    draw_entropy(bars, h, cuts["babylon, threshold"], theta / np.log(2))
    draw_letters(bars, letters(data))
    draw_patches(blocks, cuts)
    for axes in (bars, blocks):
        axes.set_xlim(-0.6, len(data) - 0.4)
        axes.set_xticks([])
        axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
