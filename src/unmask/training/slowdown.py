"""Says once when training has become much slower than it was: another program may have taken the cores.

tokens a second of the last window < 1/2 of the best window's, twice in a row
"""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unmask.lines import tell

WINDOW = 10.0
"""Seconds of steps in a window."""
WELL_BELOW = 0.5
"""Share of the best window's speed that is worth a line."""


class Slowdown(TrainerCallback):
    """Watch the speed of training steps; evaluation and saving do not count.

    Args:
        tokens_per_step: Tokens in one optimiser step.
    """

    def __init__(self, tokens_per_step: float) -> None:
        self.tokens_per_step = tokens_per_step
        self.best = 0.0
        self.told = False
        self._began = self._seconds = 0.0
        self._steps = self._slow = 0

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the step's clock."""
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop the step's clock, and compare a full window with the best one."""
        self._seconds += time.perf_counter() - self._began
        self._steps += 1
        if self._seconds < WINDOW:
            return
        speed = self._steps * self.tokens_per_step / self._seconds
        self._seconds, self._steps = 0.0, 0
        self.best = max(self.best, speed)
        self._slow = self._slow + 1 if speed < WELL_BELOW * self.best else 0
        if self._slow == 2 and not self.told and state.is_world_process_zero:
            self.told = True
            tell(self._line(speed))

    def _line(self, speed: float) -> str:
        load = f"load average {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
        fewer = ""
        if torch.get_num_threads() > 1:
            fewer = " If they stay, interrupt and go on with fewer threads: OMP_NUM_THREADS=1 and --resume."
        return (
            f"note: training runs at {speed:,.0f} tokens a second, and did at {self.best:,.0f} ({load}"
            f"{os.cpu_count()} cores, {torch.get_num_threads()} threads): other programs may take the processor.{fewer}"
        )
