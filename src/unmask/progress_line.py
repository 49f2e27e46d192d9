"""The one line that shows where long work stands, on stderr.

    nano-masked  training 3/16 steps  loss 5.512  454 tok/s  ETA 58 s

In a terminal it lives, and goes when the work is done. Elsewhere it is printed again at distances that grow from five
seconds to a minute. Work of less than two seconds shows nothing. Of processes that train together the first one shows.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console, RenderableType

from unmask.lines import excerpt, lasting, leads, tell, visible
from unmask.progress import Counter, Progress

if TYPE_CHECKING:
    from rich.live import Live

console = Console(stderr=True, highlight=False)
"""The terminal people watch; one for all, so that a line may live under another one."""
SOON = 2.0
"""Seconds that work may take without a line; and between two lines of two stages."""
_GAP, _LONGEST, _GROWTH = 5.0, 60.0, 1.5
"""Seconds between two lines of a stage outside a terminal: at first, at most, and by what they grow."""


_OFTEN = 0.2
"""Seconds between two counts of :func:`shown`."""

Item = TypeVar("Item")


class ProgressLine:
    """Shows what is told: a context, called with each :class:`~unmask.progress.Progress`.

    Args:
        opening: What is done before anything is told; a terminal shows it.
    """

    def __init__(self, opening: str = "") -> None:
        self._told: Progress | None = None
        self._opening, self._at = opening, 0.0
        self._last, self._gap, self._stage = 0.0, _GAP, ("", 0)
        self._lock, self._open = threading.RLock(), False
        self._live: Live | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> ProgressLine:
        if leads():
            self._timer = threading.Timer(SOON, self._begin)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer, self._open = None, False
            if self._live is not None:
                self._live.stop()
                self._live = None

    def __call__(self, told: Progress) -> None:
        """Show where the work stands now, or later, or not at all."""
        with self._lock:
            self._told, self._at = told, time.monotonic()
            if self._open:
                self._show()

    def text(self) -> str:
        """Return the line as it is at this moment."""
        if self._told is None:
            return self._opening
        return line_of(self._told, time.monotonic() - self._at)

    def _begin(self) -> None:
        with self._lock:
            if self._timer is not None:  # else the work has ended meanwhile
                self._open = True
                self._show()

    def _show(self) -> None:
        """In a terminal, begin to draw once there is something; elsewhere print a line where it is time for one."""
        if console.is_terminal:
            if self._live is None and self.text():
                from rich.live import Live

                self._live = Live(get_renderable=self._drawn, console=console, transient=True)
                self._live.start()
            return
        told = self._told
        if told is None:
            return
        now, stage = time.monotonic(), (told.stage, told.number)
        same = stage == self._stage
        if now - self._last >= (self._gap if same else SOON):
            tell(self.text())
            self._gap = min(self._gap * _GROWTH, _LONGEST) if same else self._gap
            self._last, self._stage = now, stage

    def _drawn(self) -> RenderableType:
        """Return the bar and the line at this moment: the seconds left go down between two things that are told."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        told = self._told
        known = told is not None and told.total is not None
        grid = Table.grid(padding=(0, 1))
        grid.add_column()
        grid.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(1.0 if known else None, told.share if told else 0.0, width=16, pulse=not known)
        grid.add_row(bar, Text(visible(self.text())))
        return grid


def shown(items: Iterable[Item], stage: str, *, unit: str, what: str, total: int | None = None) -> Iterator[Item]:
    """Yield items, and show how many there have been: for what is made once and kept, whoever asked for it.

    Args:
        items: What is gone through.
        stage: What is done.
        unit: What the items are, in the plural.
        what: What they are of.
        total: How many there are; ``None``: nobody knows.
    """
    with ProgressLine() as line:
        counter, last = Counter(stage, line, unit=unit, what=what), 0.0
        for number, item in enumerate(items):
            if (now := time.monotonic()) - last > _OFTEN:
                counter(number, total)
                last = now
            yield item


def line_of(told: Progress, since: float = 0.0) -> str:
    """Return what was told as one line.

    Args:
        told: Where the work stands.
        since: Seconds since it was told.
    """
    place = f" ({told.number} of {told.stages})" if told.stages > 1 else ""
    total = "" if told.total is None else f"/{told.total:,}"
    count = f"{told.stage}{place} {told.done:,}{total} {told.unit}".rstrip()
    rough, seconds = told.left_in_all is not None, told.left if told.left_in_all is None else told.left_in_all
    known = seconds is not None and math.isfinite(seconds) and (rough or told.share < 1)
    left = f"ETA {'about ' * rough}{lasting((seconds or 0.0) - since)}" if known else ""
    return "  ".join(part for part in (_named(told.what), count, told.facts, left) if part)


def _named(what: str) -> str:
    """Return a name of at most 40 characters: the end of a path, the beginning of anything else."""
    whole = " ".join(what.split())
    return f"...{whole[-37:]}" if len(whole) > 40 and "/" in whole else excerpt(whole, 40)
