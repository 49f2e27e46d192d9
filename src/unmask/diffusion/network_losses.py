"""What a network asks to be minimised besides the process's loss, and what it tells of itself: one place for both.

A process calls the network and knows nothing of its inside. Here its calls are listened to: the losses in its answers
(``Prediction.losses``) are added to the process's, and the metrics are handed on. Only calls that learn count: an
answer made without gradients, such as one that candidates come from, asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.process import Network, Process
from unmask.diffusion.state import Prediction, State


@dataclass(frozen=True)
class TrainingLoss:
    """What a training step minimises, and what it may tell.

    Attributes:
        loss: The process's loss and the network's own.
        metrics: Numbers and vectors without gradients: ``loss.NAME``, its parts, where there is more than the
            process's; ``network.NAME``, what the network tells.
    """

    loss: Tensor
    metrics: Mapping[str, Tensor]


class Listener:
    """A network whose answers that learn are remembered, without their logits.

    Args:
        model: The network.
    """

    def __init__(self, model: Network) -> None:
        self.model = model
        self.losses: list[Mapping[str, Tensor]] = []
        self.metrics: list[Mapping[str, Tensor]] = []

    def __call__(self, state: State, at: Any = None) -> Prediction:
        """Answer as the network does."""
        prediction = self.model(state, at=at)
        if torch.is_grad_enabled():
            self.losses.append(prediction.losses)
            self.metrics.append(prediction.metrics)
        return prediction


def training_loss(process: Process, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> TrainingLoss:
    """Return the loss of a batch: the process's, and what the network adds to it, mean over its calls that learn.

    Args:
        process: The process.
        model: The network.
        batch: Clean text.
        seed: Of the noise.
        progress: Share of training that is done.
    """
    heard = Listener(model)
    parts = process.loss(heard, batch, seed, progress)
    own = _means(heard.losses)
    metrics = {f"network.{name}": value.detach() for name, value in _means(heard.metrics).items()}
    if not own:
        return TrainingLoss(parts["loss"], metrics)
    told = {"process": parts["loss"], **own}
    metrics |= {f"loss.{name}": value.detach() for name, value in told.items()}
    return TrainingLoss(sum(told.values(), torch.zeros_like(parts["loss"])), metrics)


def _means(calls: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each named tensor over the calls that have it."""
    names = dict.fromkeys(name for call in calls for name in call)
    return {name: torch.stack([call[name] for call in calls if name in call]).mean(0) for name in names}
