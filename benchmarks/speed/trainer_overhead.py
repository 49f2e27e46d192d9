"""What the Trainer costs: ``ProcessTrainer`` as ``unmask train`` builds it, against a bare loop over the same parts.

The two take turns step by step: after each step of the Trainer a callback lets the bare loop take one on a network of
its own. So the Trainer's time is everything from one such moment to the next: data, loss, callbacks, metrics,
progress line, logging.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from benchmarks.lib.measure import Goal, Options, Result, Row, say, timed
from benchmarks.lib.parts import SyntheticBlocks, SyntheticCorpus, network, small, train_on
from benchmarks.speed.train_step import PLAIN_MASKED, bare_step
from unmask.data.vocabulary import Vocabulary
from unmask.training.combination import make_process


class Turns(TrainerCallback):
    """Lets the bare loop take a step after each of the Trainer's, and keeps both clocks."""

    def __init__(self, bare: Callable[[], None]) -> None:
        self.bare = bare
        self.trainer_seconds: list[float] = []
        self.bare_seconds: list[float] = []
        self.mark = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock at the very first step; later ones count from the last bare step on."""
        self.mark = self.mark or time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop the Trainer's clock, time a bare step, start again."""
        self.trainer_seconds.append(time.perf_counter() - self.mark)
        self.bare_seconds.append(timed(self.bare))
        self.mark = time.perf_counter()


def side_by_side(options: Options, ema: bool, turns: int, steps: int) -> tuple[list[float], list[float]]:
    """Return the seconds of ``steps`` steps of the Trainer and of the bare loop, for each turn."""
    warm = steps
    extra = [
        f"training.max_steps={warm + turns * steps}",
        "training.save_strategy='no'",
        "training.valid_blocks=0",
        f"training.logging_steps={steps}",
        f"training.ema={'0.999' if ema else 'null'}",
    ]
    recipe = small("masked", options.quick, [*PLAIN_MASKED, *extra])
    rows = recipe.training.per_device_train_batch_size
    blocks = SyntheticBlocks(64 * rows, recipe.data.length, recipe.data.vocab_size, 5 * recipe.data.length)
    corpus = SyntheticCorpus(recipe.data.vocab_size)
    process = make_process(recipe, Vocabulary(mask=corpus.mask_id, size=recipe.data.vocab_size))
    clocks = Turns(bare_step(recipe, process, network(recipe), blocks, recipe.training.max_steps))
    with tempfile.TemporaryDirectory() as name:
        train_on(recipe, Path(name) / "run", (corpus, corpus, blocks, None), callbacks=[clocks])
    return tuple(  # type: ignore[return-value]
        [sum(seconds[i : i + steps]) for i in range(warm, len(seconds), steps)]
        for seconds in (clocks.trainer_seconds, clocks.bare_seconds)
    )


def run(options: Options) -> Result:
    """Measure without and with the moving average of the weights."""
    steps, turns = (2, options.turns(2)) if options.quick else (10, options.turns(8))
    rows, goals = [], []
    for ema, name in ((False, "Trainer"), (True, "Trainer with EMA")):
        say(f"trainer_overhead: {name}, {turns} turns of {steps} steps")
        torch.manual_seed(0)
        trainer, bare = side_by_side(options, ema, turns, steps)
        rows += [
            Row(f"{name}, {steps} steps", "s", trainer),
            Row(f"bare loop beside it, {steps} steps", "s", bare),
        ]
        overhead = [100 * (a / b - 1) for a, b in zip(trainer, bare, strict=True)]
        goals.append(Goal(f"{name} over the bare loop, <= 5 %", overhead, most=5.0, unit=" %"))
    return Result("trainer_overhead", {"recipe": "stories-small-masked", "steps_a_turn": steps}, rows, goals)
