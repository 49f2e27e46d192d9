"""Whom a student learns from: the run that it began with, and from round to round what it has itself become.

A round ends between two steps. The teacher then takes the student's weights, their average if there is one. It is a
part of every checkpoint, so that a run that goes on learns from the same one.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unmask.diffusion.distill_options import DistillOptions
from unmask.diffusion.distillation import Distilled
from unmask.diffusion.process import Process
from unmask.training import checkpoints
from unmask.training.ema import EMA
from unmask.training.monitor import leads, say

FILE = "teacher.safetensors"


class Teacher(TrainerCallback):
    """The network that a student's targets come from.

    Args:
        options: Section ``distill`` of the recipe.
        process: The student's.
        model: The student, with the weights that it begins with.
        ema: The average of its weights, or ``None``.
        checkpoint: What the run goes on from; ``None``: it begins.

    Attributes:
        process: The process with the teacher's loss.
    """

    def __init__(
        self, options: DistillOptions, process: Process, model: nn.Module, ema: EMA | None, checkpoint: Path | None
    ) -> None:
        self.options = options
        self.ema = ema
        self.network = copy.deepcopy(model).eval().requires_grad_(False)
        self.distilled = Distilled(cast(Any, process), options, cast(Any, self.network))
        self.process = cast(Process, self.distilled)
        self.round = 0
        if checkpoint is not None:
            with checkpoints.reading(checkpoint), safe_open(checkpoint / FILE, "pt") as stored:
                self.round = int(stored.metadata()["round"])
                self._take({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Go where the student is."""
        self.network.to(args.device)

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the student's weights where a round begins."""
        now = self.distilled.round_at(state.global_step / max(state.max_steps, 1))
        if now == self.round or model is None:
            return
        self.round = now
        raw = {name: weight.detach() for name, weight in getattr(model, "module", model).named_parameters()}
        self._take(raw if self.ema is None else {**raw, **self.ema.shadow})
        if leads():
            steps = self.options.teacher_steps >> now
            say(f"round {now + 1} of {self.options.rounds}: from {steps} steps to {steps // 2}")

    @torch.no_grad()
    def _take(self, weights: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.copy_(weights[name])

    def save(self, folder: Path) -> None:
        """Write the teacher beside a checkpoint."""
        weights = {name: p.detach().contiguous() for name, p in self.network.named_parameters()}
        save_file(weights, folder / FILE, {"round": str(self.round)})
