"""One row of a sweep: train it to a point of its training, or score it; what is known of it lies in its folder.

    OUT/rows/ID/  row.json  recipe.yaml  run/  clock.json  evaluation.json  error.txt  log.txt

A row is advanced in this process, in another or on a Ray worker: whoever does it reads and writes these files and
nothing else, so all ways end in the same files. ``row.json`` is written aside and renamed.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unmask.data.json_file import read_object
from unmask.data.lock import LOCK
from unmask.errors import Error
from unmask.sweeps.train_recipe import train_recipe
from unmask.training.ancestry import spent
from unmask.training.monitor import read_metrics
from unmask.training.recipe import load_recipe
from unmask.training.run import MANIFEST, Run, write_json

FORMAT = 1
ROW, RUN, CLOCK, SCORE = "row.json", "run", "clock.json", "evaluation.json"
STOP, HELD_OUT = "stop", "held_out.json"
"""Files of the sweep: one whose presence asks every row to save and stop, and the text that all are scored on."""


@dataclass
class _Row:
    """What ``row.json`` holds."""

    status: str = "new"
    error: str = ""
    stopped: str = ""
    device: str = ""
    parameters: int | None = None
    steps: int | None = None
    tokens: float | None = None
    training_flops: float | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    points: dict[float, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What to do with a row.

    Attributes:
        folder: The row's folder.
        do: Train it, or score it.
        until: Share of its training at which it pauses; 1: to the end.
        seconds: Seconds of training steps that it has in all; ``None``: its ``max_steps``.
        threads: Threads of torch; ``None``: as they are.
        parent: Process that waits for the row; without it the row saves and stops. ``None``: nobody does.
    """

    folder: str
    do: Literal["train", "score"]
    until: float = 1.0
    seconds: float | None = None
    threads: int | None = None
    parent: int | None = None


def read_row(folder: Path) -> dict[str, Any]:
    """Return ``row.json``; empty if there is none.

    Raises:
        Error: it is damaged, or holds values of other kinds.
    """
    return read_kinds(folder / ROW, _Row) if (folder / ROW).is_file() else {}


def read_kinds(path: Path, kind: Any) -> dict[str, Any]:
    """Return the object in a file of a row.

    Args:
        path: The file.
        kind: What its keys hold, as a dataclass.

    Raises:
        Error: it is damaged, or holds values of other kinds.
    """
    again = f"remove {path.parent} and give the same command again"
    content = read_object(path, again)
    try:
        TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise Error(f"{path}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}; {again}.") from error
    return content


def update_row(folder: Path, **changes: Any) -> dict[str, Any]:
    """Change keys of ``row.json``, and return it."""
    row = {"format": FORMAT, **read_row(folder), **changes}
    write_json(folder / ROW, row)
    return row


def perform(task: Task) -> dict[str, Any]:
    """Do a task. A failure is the row's own: it is written into ``row.json`` (and ``error.txt``), not raised.

    Returns:
        The row as it is now; its ``status`` is ``paused``, ``finished``, ``interrupted`` or ``failed``.

    Raises:
        Error: the row's folder is not there.
    """
    folder = Path(task.folder)
    if not (folder / ROW).is_file():
        raise Error(f"this worker does not see {folder}; give --output a folder that all of the cluster shares.")
    before = torch.get_num_threads()
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    try:
        return _train(task, folder) if task.do == "train" else _score(folder)
    except Exception as error:
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        what = " ".join(str(error).split()) if isinstance(error, Error) else _described(error)
        return update_row(folder, status="failed", error=what)
    finally:
        torch.set_num_threads(before)


def logged(task: Task) -> dict[str, Any]:
    """Do a task in a process whose output is this row's: it goes to the row's ``log.txt``."""
    with (Path(task.folder) / "log.txt").open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    return perform(task)


def _described(error: Exception) -> str:
    first = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _train(task: Task, folder: Path) -> dict[str, Any]:
    run_folder = folder / RUN
    begun = (run_folder / MANIFEST).is_file()
    if (
        not begun and not (run_folder / LOCK).exists()
    ):  # with one, training itself tells a killed start from one at work
        shutil.rmtree(run_folder, ignore_errors=True)
    recipe = load_recipe(folder / "recipe.yaml")
    leash = Leash(task, recipe.training.max_steps, scored=bool(recipe.training.valid_blocks))
    update_row(folder, status="training", error="")
    run = train_recipe(recipe, run_folder, resume=begun, callbacks=[leash])
    manifest, row = run.manifest, read_row(folder)
    known = {
        "steps": manifest["steps"],
        "tokens": spent(manifest, "tokens_seen"),
        "parameters": manifest["parameters"],
        "training_flops": spent(manifest, "training_flops"),
        "corpus_fingerprint": manifest["corpus_fingerprint"],
        "tokenizer_fingerprint": manifest["tokenizer_fingerprint"],
        "device": f"{manifest.get('device')}, {manifest.get('threads')} threads, {manifest.get('precision')}",
    }
    seconds = leash.seconds or row.get("seconds", 0.0)  # none pass where the run was whole already
    known |= {"seconds": seconds, "tokens_per_second": manifest["tokens_seen"] / seconds if seconds else None}
    if manifest["status"] == "finished":
        return update_row(folder, status="finished", ended_by="steps", **known)
    if leash.reached and task.until == 1:
        return update_row(folder, status="finished", ended_by="time", **known)
    if leash.reached:
        points = {**row.get("points", {}), str(task.until): held_out_nats(run_folder)}
        return update_row(folder, status="paused", points=points, **known)
    return update_row(folder, status="interrupted", **known)


def held_out_nats(run: Path) -> float | None:
    """Return the newest held-out nats a token that training logged; ``None`` if it has not yet."""
    rows = [row for row in read_metrics(run / "metrics.jsonl") if "valid_nats_per_token" in row]
    return float(rows[-1]["valid_nats_per_token"]) if rows else None


class Leash(TrainerCallback):
    """Pauses a row where the plan says so, ends it when its time is over, and lets it go when the sweep is stopped.

    Beside the run it keeps ``clock.json``, the seconds of training at each checkpoint, so that a resumed row knows how
    much of its time is spent.

    Args:
        task: What is asked of the row.
        max_steps: Steps of the whole training.
        scored: Whether held-out text can be scored at the point.
    """

    def __init__(self, task: Task, max_steps: int, scored: bool) -> None:
        folder = Path(task.folder)
        self.clock = folder / CLOCK
        self.stop = folder.parent.parent / STOP
        self.step = math.ceil(task.until * max_steps)
        self.limit = None if task.seconds is None else task.until * task.seconds
        self.parent = task.parent
        self.scored = scored
        self.seconds = 0.0
        self.reached = False
        self._began = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Read how much time the steps before the checkpoint took."""
        self.seconds = self._saved().get(str(state.global_step), 0.0)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the step's clock."""
        self._began = perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop the clock; look whether this is the point."""
        self.seconds += perf_counter() - self._began
        if state.global_step >= args.max_steps:
            return
        over = state.global_step >= self.step if self.limit is None else self.seconds >= self.limit
        if over:
            self.reached = True
            control.should_evaluate = control.should_evaluate or self.scored
        left_alone = self.parent is not None and os.getppid() != self.parent
        if over or left_alone or self.stop.exists():
            control.should_save = control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Keep the clock beside the checkpoint."""
        write_json(self.clock, {**self._saved(), str(state.global_step): self.seconds})

    def _saved(self) -> dict[str, float]:
        if not self.clock.is_file():
            return {}
        saved = read_object(self.clock, f"remove {self.clock.parent} and train the row again")
        return TypeAdapter(dict[str, float]).validate_python(saved)


def score_key(held: dict[str, Any]) -> dict[str, Any]:
    """Return what a score depends on beside the run."""
    return {key: held[key] for key in ("digest", "window", "draws", "seed")}


def _score(folder: Path) -> dict[str, Any]:
    from unmask.evaluation.bits import bits_per_byte

    held = json.loads((folder.parent.parent / HELD_OUT).read_text(encoding="utf-8"))
    run = Run.open(folder / RUN)
    score = bits_per_byte(
        run.model(),
        run.process,
        run.tokenizer,
        held["texts"],
        window=held["window"],
        draws=held["draws"],
        seed=held["seed"],
    )
    nats, sizes = score.per_document
    content = {
        "key": score_key(held),
        "bits_per_byte": score.value,
        "bound": score.bound,
        "interval": score.interval,
        "length_nats": score.length_nats,
        "draws": score.draws,
        "tokens": score.tokens,
        "bytes": score.bytes,
        "nats": nats.tolist(),
        "sizes": sizes.tolist(),
    }
    write_json(folder / SCORE, content)
    return update_row(folder, error="")
