"""What a run tells while it trains: ``metrics.jsonl``, a progress line with tok/s and ETA, and a Ctrl-C that saves."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unmask.lines import leads as leads
from unmask.lines import tell as say
from unmask.lines import visible

_KEPT = ("loss", "grad_norm", "learning_rate")
_TOLD = ("loss.", "network.", "gradient.", "controller.")
"""Parts of the loss; what the network, the gradient monitor and a controller tell."""


CLOCK = "clock.json"


class Metrics(TrainerCallback):
    """Append every log of the Trainer to ``metrics.jsonl``, with training tok/s that counts training steps only.

    A run that is resumed goes on counting from its checkpoint: its seconds are those of all its steps.

    Args:
        path: The file. Lines of steps that a resumed run will repeat are dropped at the start.
        tokens_per_step: Predictable tokens in one optimiser step, all ranks together.
    """

    def __init__(self, path: Path, tokens_per_step: float) -> None:
        self.path = path
        self.tokens_per_step = tokens_per_step
        self.seconds = 0.0
        self.steps = 0
        self.valid: float | None = None
        """Nats a token of the held-out blocks, when they were last scored."""
        self._began = 0.0

    @property
    def tokens_per_second(self) -> float:
        """Training tokens a second so far, evaluation and saving not counted."""
        return self.steps * self.tokens_per_step / self.seconds if self.seconds else 0.0

    def save(self, folder: Path) -> None:
        """Write the seconds and steps so far beside a checkpoint."""
        (folder / CLOCK).write_text(json.dumps({"seconds": self.seconds, "steps": self.steps}))

    def load(self, folder: Path) -> None:
        """Read those of a checkpoint; one from before they were kept begins at 0, in steps as in seconds."""
        if (folder / CLOCK).is_file():
            content = json.loads((folder / CLOCK).read_text())
            self.seconds, self.steps = float(content["seconds"]), int(content["steps"])

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop lines beyond the step that training resumes from."""
        if not state.is_world_process_zero:
            return
        kept = [r for r in read_metrics(self.path) if r["step"] <= state.global_step] if state.global_step else []
        self.path.write_text("".join(json.dumps(row) + "\n" for row in kept))

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the step's clock."""
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop the step's clock. The last step is logged and scored: what is told at the end is of the end."""
        self.seconds += time.perf_counter() - self._began
        self.steps += 1
        if state.global_step >= state.max_steps:
            control.should_log = True
            control.should_evaluate = args.eval_strategy != "no"

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write one line."""
        self.valid = (logs or {}).get("eval_loss", self.valid)
        if state.is_world_process_zero and logs and ("loss" in logs or "eval_loss" in logs):
            row = {
                "step": state.global_step,
                "tokens": round(state.global_step * self.tokens_per_step),
                **{key: value for key, value in logs.items() if key in _KEPT or key.startswith(_TOLD)},
                "tok_per_s": round(self.tokens_per_second, 1),
            }
            if "eval_loss" in logs:
                row["valid_nats_per_token"] = logs["eval_loss"]
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a ``metrics.jsonl``; what is no row, such as a line cut short by a crash, is left out."""
    rows = []
    for line in path.read_text("utf-8-sig", "replace").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        numbers = isinstance(row, dict) and all(type(value) in (int, float) for value in row.values())
        if numbers and type(row.get("step")) is int:
            rows.append(row)
    return rows


class ProgressLine(TrainerCallback):
    """A bar on a terminal, a line every ten seconds elsewhere; always on stderr."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self.console = Console(stderr=True)
        self.metrics = metrics
        self.bar = Progress(
            TextColumn("{task.fields[name]}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.name = visible(name).replace("\n", " ")
        self.loss: float | None = None
        self._last = time.perf_counter()
        self._began = self._last
        self._first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the bar."""
        self._began = time.perf_counter()
        self._first = state.global_step
        fields = {"numbers": "", "name": self.name}
        self.task = self.bar.add_task("train", total=state.max_steps, completed=state.global_step, **fields)
        if self.console.is_terminal and state.is_world_process_zero:
            self.bar.start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the loss, and show it at once."""
        self.loss = (logs or {}).get("loss", self.loss)
        self.bar.update(self.task, numbers=self._numbers())

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar, or print a line."""
        numbers = self._numbers()
        self.bar.update(self.task, completed=state.global_step, numbers=numbers)
        now = time.perf_counter()
        if not self.console.is_terminal and state.is_world_process_zero and now - self._last > 10:
            self._last = now
            left = (now - self._began) / (state.global_step - self._first) * (state.max_steps - state.global_step)
            print(
                f"{self.name}  step {state.global_step}/{state.max_steps}  {numbers}  ETA {left:.0f} s", file=sys.stderr
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the bar away."""
        self.bar.stop()

    def _numbers(self) -> str:
        loss = "" if self.loss is None else f"loss {self.loss:.3f}  "
        return f"{loss}{self.metrics.tokens_per_second:,.0f} tok/s"


class Interrupt(TrainerCallback):
    """Turn the first Ctrl-C (or SIGTERM) into "save a checkpoint and stop"; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.by = ""
        """The signal that asked first."""
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._old[number] = signal.signal(number, self._ask)
            except ValueError:  # not the main thread: the caller's own handling stays
                break
        return self

    def __exit__(self, *details: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self.by = signal.Signals(number).name
        say("\nstopping after this step; saving a checkpoint (again to stop at once)")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask the Trainer to save and stop."""
        if self.asked:
            control.should_save = True
            control.should_training_stop = True
