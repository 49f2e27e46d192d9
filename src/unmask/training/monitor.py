"""What a run tells while it trains: ``metrics.jsonl``, its steps with tok/s and the time left; a Ctrl-C that saves."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unmask.lines import leads as leads
from unmask.lines import tell as say
from unmask.progress import Progress, Tell

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


class Steps(TrainerCallback):
    """Tells where training stands: its steps, the last loss, tok/s.

    Args:
        name: Of the recipe.
        metrics: What is counted.
        tell: Called after each step.
    """

    def __init__(self, name: str, metrics: Metrics, tell: Tell) -> None:
        self.name, self.metrics, self.tell = name, metrics, tell
        self.loss: float | None = None
        self._began, self._first = time.perf_counter(), 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock."""
        self._began, self._first = time.perf_counter(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the loss."""
        self.loss = (logs or {}).get("loss", self.loss)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Tell where it stands; the time left counts what scoring and saving have taken so far."""
        step, most = state.global_step, state.max_steps
        left = (time.perf_counter() - self._began) / max(step - self._first, 1) * (most - step)
        loss = "" if self.loss is None else f"loss {self.loss:.3f}  "
        facts = f"{loss}{self.metrics.tokens_per_second:,.0f} tok/s"
        self.tell(Progress("training", 1, 1, self.name, step, most, step / most, left, "steps", facts))


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
