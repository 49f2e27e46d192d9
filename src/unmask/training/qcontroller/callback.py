"""A controller in the Trainer: asked before each optimiser step, undone after it, stored with each checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unmask.training.gradients import GradientMonitor
from unmask.training.qcontroller.factors import Controller, momentum, release, steer
from unmask.training.qcontroller.mended import MendedController
from unmask.training.qcontroller.options import ControllerOptions, MendedOptions, OriginalOptions, RandomOptions
from unmask.training.qcontroller.original import OriginalController

FILE = "qcontroller.json"


def make_controller(options: ControllerOptions, seed: int) -> Controller:
    """Return the controller that a recipe asks for."""
    if isinstance(options, OriginalOptions):
        return OriginalController(options, seed)
    if isinstance(options, RandomOptions):
        options = MendedOptions(every=options.every, probe=options.probe, q_epsilon=1.0, q_min_epsilon=1.0)
    assert isinstance(options, MendedOptions)
    return MendedController(options, seed)


class Steering(TrainerCallback):
    """Lets a controller steer the optimiser.

    Args:
        controller: The controller.
        monitor: Knows the loss and the gradient of the step under way.
        probe: Measures the loss of the fixed batch, mean over ranks.
        mean: Makes a number of each rank the mean over ranks.
    """

    def __init__(
        self,
        controller: Controller,
        monitor: GradientMonitor,
        probe: Callable[[], float],
        mean: Callable[[torch.Tensor], float],
    ) -> None:
        self.controller = controller
        self.monitor = monitor
        self.measure = probe if controller.probes else lambda: mean(monitor.loss)
        self.rate = 0.0
        self._before: list[dict[str, Any]] = []

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask the controller and give the optimiser what it says."""
        groups = kwargs["optimizer"].param_groups
        scales = self.controller.act(self.measure, self.monitor.norm, float(groups[0]["lr"]), momentum(groups[0]))
        self._before = steer(groups, scales, self.controller.limits)
        self.rate = float(groups[0]["lr"])

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Give back what the schedule set."""
        release(kwargs["optimizer"].param_groups, self._before)

    def told(self) -> dict[str, float]:
        """Return what is logged: the rate of the last step, and the controller's own numbers."""
        return {"controller.learning_rate": self.rate, **self.controller.told()}


def save(controller: Controller, folder: Path) -> None:
    """Write what a controller has learned beside a checkpoint."""
    (folder / FILE).write_text(json.dumps(controller.state()))


def load(controller: Controller, folder: Path) -> None:
    """Go on from a checkpoint."""
    controller.restore(json.loads((folder / FILE).read_text()))
