"""Training with what lies above it: evidence looked up in an index, and pictures of the run.

Whoever trains for a user trains here: ``unmask train``, sweeps, the demo, the judge of a comparison. Training itself
(:mod:`unmask.training.train`) knows no index and draws nothing.

Pictures go into ``plots/step-N`` every ``training.plot_every`` steps, and at the end into ``plots``. What is drawn on
the way are the weights as they are; at the end those that the run keeps, an average if it has one. Drawing takes no
random number and leaves the network as it was: the run ends with the same weights without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unmask.roots.evidence import find_evidence
from unmask.training.arguments import first_line
from unmask.training.monitor import say
from unmask.training.recipe import Recipe
from unmask.training.run import Run, open_folder
from unmask.training.train import train

PLOTS = "plots"
"""Folder of a run's pictures in the run's own."""


class Drawing(TrainerCallback):
    """Draw a run while it trains, if its recipe says so.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.every: int | None = None
        self._texts: list[str] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Read the recipe that the run goes by, a resumed one's own."""
        if not state.is_world_process_zero:
            return
        self.every = open_folder(self.folder)[1].training.plot_every

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Draw, where it is time and training goes on."""
        if self.every and state.global_step % self.every == 0 and state.global_step < state.max_steps:
            network = getattr(model, "module", model)
            self.draw(getattr(network, "_orig_mod", network), self.folder / PLOTS / f"step-{state.global_step}")

    def draw(self, model: Any, folder: Path) -> None:
        """Draw; a picture that cannot be drawn stops no training, and is told."""
        from unmask.pictures.run import draw_run, shown_texts, shows_text

        run = Run(self.folder, *open_folder(self.folder))
        try:
            if self._texts is None:
                self._texts = shown_texts(run)[0] if shows_text(run) else []
            draw_run(run, model, self._texts, folder)
        except Exception as error:  # of a full disk, of the library that draws, of ours
            say(f"warning: no pictures in {folder}: {first_line(error)}")


def train_recipe(recipe: Recipe, folder: Path, resume: bool = False, callbacks: Sequence[TrainerCallback] = ()) -> Run:
    """Train a recipe into a run folder, whatever it asks for: see :func:`unmask.training.train.train`."""
    drawing = Drawing(folder)
    run = train(recipe, folder, resume, [*callbacks, drawing], find_evidence)
    if drawing.every and run.manifest["status"] == "finished":
        drawing.draw(run.model(), folder / PLOTS)
    return run
