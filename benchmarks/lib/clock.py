"""The speed of a loop that is someone else's: steps counted from within, which is left when the time is up."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset
from transformers import TrainerCallback

from benchmarks.lib.parts import SyntheticBlocks

WARM = 3
"""Steps before the clock starts; telos-ml's own benchmark takes five."""


class Finished(Exception):  # noqa: N818 - how a loop that counts no seconds is left
    """The time is up."""


class Clock:
    """Counts the steps after the first few, and leaves the loop when the time is up.

    Args:
        seconds: How long steps are counted.
        tokens: In one step.
    """

    def __init__(self, seconds: float, tokens: int) -> None:
        self.seconds, self.tokens = seconds, tokens
        self.steps, self.began, self.rate = -WARM, 0.0, 0.0

    def mark(self) -> None:
        """Note the moment between two steps.

        Raises:
            Finished: it was the last; ``rate`` has the tokens a second.
        """
        now = time.perf_counter()
        if self.steps == 0:
            self.began = now
        elif self.steps > 0 and now - self.began >= self.seconds:
            self.rate = self.steps * self.tokens / (now - self.began)
            raise Finished
        self.steps += 1


class Rows(Dataset[dict[str, Tensor]]):
    """Blocks as the peers' loaders want them, over and over; the clock ticks whenever a batch is asked for."""

    def __init__(self, blocks: SyntheticBlocks, rows: int, clock: Clock) -> None:
        self.blocks, self.rows, self.clock, self.asked = blocks, rows, clock, 0

    def __len__(self) -> int:
        return 100 * len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if self.asked % self.rows == 0:
            self.clock.mark()
        self.asked += 1
        return {"input_ids": self.blocks.tokens_array[index % len(self.blocks)]}


class Ticks(TrainerCallback):
    """The clock as a callback of our Trainer."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note that a step is done."""
        self.clock.mark()
