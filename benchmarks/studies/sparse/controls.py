"""Do candidates say anything? The bound of sparse runs with their own candidates, with none, and with another place's.

    python -m benchmarks.studies.sparse.controls RUN [RUN ...] --documents 60

The bound's first network call, which makes the candidates, is the same in all three; only what the second sees differs.
``shuffled`` gives every open position the candidates of another open position of its text.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.diffusion.noise import Noise
from unmask.diffusion.state import Prediction, SparseState, State
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.windows import common_window
from unmask.training.held_out import held_out
from unmask.training.run import Run

RESULT = RESULTS / "sparse_controls.json"


class Changed:
    """A network that sees other candidates than it was given."""

    def __init__(self, model: Any, way: str) -> None:
        self.model, self.way = model, way
        self.config, self.device, self.training = model.config, model.device, False

    def eval(self) -> None:
        """Nothing to do: the network is in evaluation mode."""

    def train(self, mode: bool = True) -> None:
        """Nothing to do."""

    def __call__(self, state: State, at: Tensor | None = None) -> Prediction:
        """Answer the changed state."""
        given = state.candidates
        if given is None or self.way == "own":
            return self.model(state, at=at)
        if self.way == "none":
            return self.model(replace(state, candidates=None), at=at)
        some = given.mass.sum(-1) > 0
        keys = Noise(0, torch.arange(len(some))).uniform("shuffle", some.shape[1]).masked_fill(~some, 2.0)
        order, places = keys.argsort(1), (~some).long().argsort(dim=1, stable=True)
        take = torch.zeros_like(order).scatter(1, places, order)  # the i-th open place takes the i-th of a random order
        index = take[..., None].expand_as(given.tokens)
        moved = SparseState(given.tokens.gather(1, index), given.mass.gather(1, index) * some[..., None])
        return self.model(replace(state, candidates=moved), at=at)


def main() -> None:
    """Score the runs three times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--results", type=Path, default=RESULT)
    given = parser.parse_args()
    runs = [Run.open(path) for path in given.runs]
    text = held_out(runs, count=given.documents)
    rows = {}
    for run in runs:
        model = run.model()
        window = common_window(text.texts, [run.tokenizer], [int(model.config.max_position_embeddings)])
        for way in ("own", "none", "shuffled"):
            score = bits_per_byte(
                Changed(model, way), run.process, run.tokenizer, text.texts, window=window, draws=given.draws
            )
            name = "own candidates" if way == "own" else way
            rows[f"{name} | seed {run.recipe.seed}"] = {"bits_per_byte": round(score.value, 4), "bound": score.bound}
            print(run.name, name, round(score.value, 4), flush=True)
    command = f"python -m {__spec__.name} RUNS --documents {given.documents} --draws {given.draws}"
    store(given.results, {**stamp(command), "corpus_fingerprint": text.fingerprint, "rows": rows})


if __name__ == "__main__":
    main()
