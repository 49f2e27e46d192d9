"""The probe: the loss of the same examples with the same noise, at whatever weights.

Noise derives from (seed, place of the example), so asking twice draws the same masks and times; progress is 1, so no
curriculum moves what is measured. The examples are the last ones of the run's training order: no held-out text.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unmask.data.batch import Batch
from unmask.diffusion.process import Process


@torch.no_grad()
def probe_loss(process: Process, model: nn.Module | Any, batch: Batch, seed: int) -> Tensor:
    """Return the process's loss of a batch without dropout; the network's mode, gradients and weights stay."""
    training = model.training
    model.eval()
    try:
        return process.loss(model, batch, seed, 1.0)["loss"]
    finally:
        model.train(training)
