"""Trackers that a run reports to besides its ``metrics.jsonl``: TensorBoard, W&B, MLflow, by the Trainer's callbacks.

A tracker is a guest. Where one fails, that is told once, it gets nothing more, and the run goes on: a night of training
is worth more than a picture of it. TensorBoard's files lie in the run folder unless ``TENSORBOARD_LOGGING_DIR`` says
otherwise; W&B and MLflow write where they always do (``WANDB_DIR``, ``MLFLOW_TRACKING_URI``; else where one stands).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks

from unmask.training.arguments import first_line
from unmask.training.monitor import say
from unmask.training.recipe import Recipe
from unmask.training.trainer_check import trackers

TENSORBOARD = "tensorboard"
"""Folder of TensorBoard's files in a run's own."""


class Tracker(TrainerCallback):
    """One tracker, whose failures stop no training.

    Args:
        name: What it is called.
        callback: The Trainer's own for it.
    """

    def __init__(self, name: str, callback: TrainerCallback) -> None:
        self.name = name
        self.callback: TrainerCallback | None = callback

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin."""
        self._tell("on_train_begin", args, state, control, **kwargs)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Pass on numbers."""
        self._tell("on_log", args, state, control, **kwargs)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Tell of a checkpoint."""
        self._tell("on_save", args, state, control, **kwargs)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End."""
        self._tell("on_train_end", args, state, control, **kwargs)

    def _tell(self, event: str, *args: Any, **kwargs: Any) -> None:
        if self.callback is None:
            return
        try:
            getattr(self.callback, event)(*args, **kwargs)
        except Exception as error:  # of any library's own kind
            self.callback = None
            say(
                f"warning: tracker {self.name} failed and gets nothing more ({first_line(error)}); training goes on, "
                "and metrics.jsonl has every number"
            )


def make_trackers(recipe: Recipe, folder: Path) -> list[Tracker]:
    """Return the trackers that a recipe names, for the run in a folder."""
    names = trackers(recipe.training.model_extra or {})
    made = [Tracker(name, kind()) for name, kind in zip(names, get_reporting_integration_callbacks(names), strict=True)]
    for tracker in made:
        if tracker.name == "tensorboard" and tracker.callback.logging_dir is None:
            tracker.callback.logging_dir = str(folder / TENSORBOARD)
    return made
