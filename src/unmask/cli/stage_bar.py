"""The line that shows where a comparison stands: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn

from unmask.cli.console import console, note
from unmask.data.visible import visible

if TYPE_CHECKING:
    from unmask.reports.progress import Progress as Told

_EVERY = 10.0
"""Seconds between two lines of a stage, where there is no terminal."""


class StageBar:
    """Shows stages, always on stderr; to be used as a context, and called with what a comparison tells."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[count]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, count="", visible=False)
        self._stage, self._last = 0, 0.0

    def __enter__(self) -> StageBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:  # else it would print an empty line
            self._bar.stop()

    def __call__(self, told: Told) -> None:
        """Move the bar, or print a line."""
        now = time.monotonic()
        place = f"{told.number}/{told.stages} {told.stage}"
        count = f"{told.done} of {told.total}" + ("" if told.left is None else f", {_time(told.left)} left")
        if console.is_terminal:
            name = visible(told.what).replace("\n", " ")
            what = name if len(name) <= 30 else f"{name[:27]}..."
            self._bar.start()
            self._bar.update(
                self._task,
                description=f"{place}: {what}",
                completed=told.share,
                count=count,
                visible=told.share < 1,
            )
        elif told.number != self._stage or now - self._last > _EVERY:
            note(f"{place}: {told.what} ({count})")
            self._stage, self._last = told.number, now


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
