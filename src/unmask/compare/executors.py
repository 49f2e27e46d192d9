"""Where the rows of a sweep are advanced: in this process, in several on this machine, or on Ray (``on_ray``).

All do the same tasks (:func:`unmask.compare.sweep_row.perform`) on the same files, and a row does not know of the
others, so they end with the same results where threads and hardware are the same.

Ctrl-C asks every row to save and stop, through a file in the sweep's folder, which all of them look for; a second one
ends them at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from unmask.compare.sweep_row import FAILED_QUIETLY, STOP, Task, perform, read_row, update_row
from unmask.threads import allowed_cores

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
class Here:
    """One row after another in this process.

    Attributes:
        threads: Threads of torch; ``None``: as they are.
    """

    threads: int | None = None

    def __call__(self, tasks: Sequence[Task], say: Say) -> None:
        """Do the tasks in order."""
        for number, task in enumerate(tasks, start=1):
            say(f"{_doing(task)} ({number} of {len(tasks)})")
            row = perform(replace(task, threads=self.threads))
            tell(row, task, say)
            if row["status"] == "interrupted":
                return


@dataclass(frozen=True)
class Processes:
    """Several rows at a time, each in a process of its own, whose output is in the row's ``log.txt``.

    Attributes:
        workers: Rows at a time.
        threads: Threads of each; ``None``: the machine's cores shared out.
    """

    workers: int
    threads: int | None = None

    def __call__(self, tasks: Sequence[Task], say: Say) -> None:
        """Do the tasks, starting them in order."""
        threads = self.threads or max(1, allowed_cores() // self.workers)
        waiting, running = list(tasks), {}
        stop = stop_file(tasks)
        with asking(stop, say) as ask:
            try:
                while running or (waiting and not stop.exists()):
                    while waiting and len(running) < self.workers and not stop.exists():
                        task = replace(waiting.pop(0), threads=threads, parent=os.getpid())
                        say(_doing(task))
                        running[_start(task)] = task
                    for process in [process for process in running if process.poll() is not None]:
                        task = running.pop(process)
                        tell(_ended(task, process.returncode), task, say)
                    if ask.twice:
                        raise KeyboardInterrupt
                    time.sleep(0.05)
            finally:
                for process in running:
                    process.terminate()


def _start(task: Task) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(task.threads)}
    with (Path(task.folder) / "log.txt").open("ab") as log:
        return subprocess.Popen(  # -P: no module comes from the current folder
            [
                sys.executable,
                "-P",
                "-m",
                "unmask.compare.sweep_row",
                task.to_json(),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # the terminal's Ctrl-C reaches the sweep alone, which asks the rows to save
        )


def _ended(task: Task, status: int) -> dict[str, Any]:
    row = read_row(Path(task.folder))
    if status != 0 and row.get("status") != "failed":
        why = FAILED_QUIETLY if status < 0 else f"its process ended with status {status}; see log.txt in its folder"
        return update_row(Path(task.folder), status="failed", error=why)
    return row


def stop_file(tasks: Sequence[Task]) -> Path:
    """Return the file whose presence asks the rows to save and stop."""
    return Path(tasks[0].folder).parent.parent / STOP if tasks else Path(STOP)


@dataclass
class Asked:
    """Whether Ctrl-C came, and came again."""

    once: bool = False
    twice: bool = False


@contextlib.contextmanager
def asking(stop: Path, say: Say) -> Iterator[Asked]:
    """Turn the first Ctrl-C (or SIGTERM) into the file that asks all rows to save and stop."""
    asked = Asked()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.twice = asked.once
        asked.once = True
        stop.touch()
        if not asked.twice:
            say("stopping; the rows save a checkpoint after their step (again to stop at once)")

    old: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            old[number] = signal.signal(number, ask)
        except ValueError:  # not the main thread: the caller's own handling stays
            break
    try:
        yield asked
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
