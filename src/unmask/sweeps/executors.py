"""How the rows of a sweep are advanced: by this process, several on this machine, or actors on Ray.

All do the same tasks (:func:`unmask.sweeps.advance.perform`) on the same files, and a row does not know of the
others, so they end with the same results where threads and hardware are the same.

Ctrl-C asks every row to save and stop, through a file in the sweep's folder, which all of them look for; a second one
ends them at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from unmask.lines import lasting
from unmask.sweeps.advance import STOP, Task, logged, perform, read_row, update_row
from unmask.threads import allowed_cores
from unmask.workers import HERE, Processes, Workers

Say = Callable[[str], None]
Executor = Callable[[Sequence[Task], Say], None]
"""Does all tasks; returns early when the sweep was asked to stop."""


def run_tasks(execute: Executor, tasks: Sequence[Task], folder: Path, say: Say) -> None:
    """Do tasks.

    Raises:
        KeyboardInterrupt: the sweep was asked to stop; every row is saved.
    """
    if tasks:
        execute(tasks, say)
    states = {read_row(Path(task.folder)).get("status") for task in tasks}
    if (folder / STOP).exists() or "interrupted" in states:
        raise KeyboardInterrupt


@dataclass(frozen=True)
class Rows:
    """Advances rows by workers, several at a time where there are several.

    On Ray a row whose worker dies goes on from its last checkpoint on another, up to twice.

    Attributes:
        workers: Who does them.
        threads: Threads of torch of each; ``None``: as they are here, the machine's cores shared out among processes.
    """

    workers: Workers
    threads: int | None = None

    def __call__(self, tasks: Sequence[Task], say: Say) -> None:
        """Do the tasks, starting them in order, until one was interrupted or the sweep was asked to stop."""
        if not tasks:
            return
        here, apart = self.workers is HERE, isinstance(self.workers, Processes)
        share = None if here else max(1, allowed_cores() // self.workers.count) if apart else 1
        stop, ended = stop_file(tasks), False
        began, done = time.monotonic(), 0

        def left() -> Iterator[Task]:
            for number, task in enumerate(tasks, start=1):
                if ended or stop.exists():
                    return
                pace = (time.monotonic() - began) / done if done else None
                left = "" if pace is None else f"; all done in about {lasting(pace * (len(tasks) - done))}"
                say(f"{_doing(task)} ({number} of {len(tasks)}){left}")
                yield replace(task, threads=self.threads or share, parent=os.getpid() if apart else None)

        with contextlib.nullcontext() if here else asking(stop, say):
            for task, _, error in self.workers.each(logged if apart else perform, left()):
                row = read_row(Path(task.folder))
                if error is not None:
                    why = f"{str(error).partition(';')[0]}; see log.txt in its folder" if apart else str(error)
                    row = update_row(Path(task.folder), status="failed", error=why)
                tell(row, task, say)
                done += 1
                ended = row["status"] == "interrupted"


def stop_file(tasks: Sequence[Task]) -> Path:
    """Return the file whose presence asks the rows to save and stop."""
    return Path(tasks[0].folder).parent.parent / STOP if tasks else Path(STOP)


@contextlib.contextmanager
def asking(stop: Path, say: Say) -> Iterator[None]:
    """Turn the first Ctrl-C (or SIGTERM) into the file that asks all rows to save and stop.

    Raises:
        KeyboardInterrupt: there was a second.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stop.touch()
        say("stopping; the rows save a checkpoint after their step (again to stop at once)")

    old: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            old[number] = signal.signal(number, ask)
        except ValueError:  # not the main thread: the caller's own handling stays
            break
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _doing(task: Task) -> str:
    row = read_row(Path(task.folder))
    words = "scoring" if task.do == "score" else "training"
    until = f" to {task.until:.0%}" if task.do == "train" and task.until < 1 else ""
    return f"{words} {row.get('label', task.folder)}{until}"


def tell(row: dict[str, Any], task: Task, say: Say) -> None:
    """Say how a task ended."""
    if row["status"] == "failed":
        say(f"failed: {row['label']}: {row['error']}")
    elif row["status"] == "interrupted":
        say(f"saved: {row['label']} at step {row['steps']}")
    elif task.do == "train":
        say(f"{row['status']}: {row['label']}, step {row.get('steps', 0)}")
