"""Draw which tokens of a text write to each memory slot and which read it: docs/img/eco_slots.svg.

    python -m benchmarks.studies.eco.draw_slots RUN --source stories-en.valid.jsonl.gz

RUN is a run with backbone eco. Every fourth token is hidden, as in the middle of training. A row is a slot, a column a
token of one document; blue: share of the slot's reading that the token got (what it wrote), in each block that
updates slots; red: share of its reading that the token gave to the slot, in the block after it; both over an even
share, so 1 says that nothing was preferred. Hidden tokens stand in brackets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from benchmarks.lib.places import IMAGES
from benchmarks.studies.eco.slot_use import slot_use  # noqa: E402
from unmask.data.corpus import load_corpus  # noqa: E402
from unmask.diffusion.state import State  # noqa: E402
from unmask.training.run import Run  # noqa: E402

PICTURE = IMAGES / "eco_slots.svg"


def main() -> None:
    """Draw every update and the reading after it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--source", required=True)
    parser.add_argument("--document", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=56)
    parser.add_argument("--output", type=Path, default=PICTURE)
    given = parser.parse_args()
    run = Run.open(given.run)
    model, words = run.model("cpu"), run.tokenizer
    text = load_corpus(given.source).split("train")["text"][given.document]
    ids = [words.bos_id, *words.encode_batch([text])[0]][: given.tokens]
    tokens = torch.tensor([ids])
    hidden = torch.arange(len(ids))[None] % 4 == 3
    state = State(tokens.masked_fill(hidden, words.mask_id), t=hidden.sum(1) / (len(ids) - 1))
    use = slot_use(model, state)
    shown = ["BOS", *(words.decode([one]).replace("\n", "\\n").strip() for one in ids[1:])]
    labels = [f"[{word}]" if gone else word for word, gone in zip(shown, hidden[0].tolist(), strict=True)]
    updates, slots = len(use.write), use.read.shape[-1]
    figure, panels = pyplot.subplots(2 * updates, 1, figsize=(12, 2.1 * 2 * updates), sharex=True)
    for block in range(updates):
        for axes, shares, even, colours, told in (
            (panels[2 * block], use.write[block, 0], len(ids), "Blues", f"written to in block {block + 1}"),
            (panels[2 * block + 1], use.read[block + 1, 0].T, slots, "Reds", f"read in block {block + 2}"),
        ):
            picture = axes.imshow(shares * even, aspect="auto", cmap=colours, vmin=0)
            axes.set_ylabel("slot")
            axes.set_title(told, fontsize=9, loc="left")
            figure.colorbar(picture, ax=axes, pad=0.01)
    panels[-1].set_xticks(range(len(ids)), labels, rotation=90, fontsize=7, parse_math=False)
    figure.tight_layout()
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
