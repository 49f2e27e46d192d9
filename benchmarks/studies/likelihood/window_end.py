"""What it costs a masked model that a window may end where its document does not.

    python -m benchmarks.studies.likelihood.window_end runs/nano-masked [RUN ...]

Held-out documents are cut into windows; all but a document's last end without end-of-text, while in training text ends
so only at the end of a block. The cost is the difference between scoring windows without their ends as they are, and
with end-of-text forbidden (its probability given to the rest): an upper bound on what another rule could gain.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import torch
from torch import nn

from unmask.diffusion.state import Prediction
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.windows import common_window
from unmask.training.held_out import held_out
from unmask.training.run import Run


class Endless(nn.Module):
    """A network that never believes in an end of text."""

    def __init__(self, network: nn.Module, eos: int) -> None:
        super().__init__()
        self.network, self.eos = network, eos
        self.config, self.device = network.config, network.device

    def forward(self, state: Any, at: Any = None) -> Prediction:
        """Answer with end-of-text at probability 0."""
        answer = self.network(state, at=at)
        return Prediction(answer.logits.index_fill(1, torch.tensor([self.eos]), -torch.inf))


def main(arguments: list[str] | None = None) -> int:
    """Print one JSON line a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--documents", type=int, default=60)
    chosen = parser.parse_args(arguments)
    for name in chosen.runs:
        run = Run.open(name)
        model = run.model("cpu")
        texts = held_out([run], None, chosen.documents).texts
        window = common_window(texts, [run.tokenizer], [int(model.config.max_position_embeddings)])
        as_is, endless = (
            bits_per_byte(network, run.process, run.tokenizer, texts, window=window, end=False).value
            for network in (model, Endless(model, run.tokenizer.eos_id))
        )
        print(
            json.dumps(
                {"run": run.name, "window": window, "as it is": as_is, "no end": endless, "cost": as_is - endless}
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
