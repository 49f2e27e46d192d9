"""Did other programs take the processor while something was timed?

    share  = processor seconds of this process / seconds on the clock
    waited = seconds that its threads stood in line for a core / seconds on the clock

A thread that computes all the time has share + waited = 1; a free machine lets nothing wait. Linux counts the waiting
of each thread (the second number of /proc/self/task/*/schedstat). Elsewhere only a single thread's share tells.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TASKS = Path("/proc/self/task")
LINE = 0.1
"""More waiting than this share of the clock, and a timing speaks of the other programs too."""


@dataclass(frozen=True)
class Load:
    """The machine while something was timed.

    Attributes:
        average: The system's load average over a minute, at the end; ``None`` where there is none.
        share: Processor seconds of this process a second.
        waited: Seconds in line for a core a second, all its threads together; ``None`` where the system does not say.
    """

    average: float | None
    share: float
    waited: float | None

    def contended(self, threads: int) -> bool:
        """Tell whether other programs took the processor.

        Args:
            threads: Threads that computed, each busy all the time if there is one; 0: the work was not the processor's.
        """
        if self.waited is not None:
            return self.waited > LINE
        return threads == 1 and self.share < 1 - LINE


class Gauge:
    """Adds up what the process got while it was read; what lies between two readings does not count."""

    def __init__(self) -> None:
        self._wall = self._own = self._line = 0.0
        self._known = True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count what happens inside."""
        wall, own, line = time.monotonic(), time.process_time(), _in_line()
        try:
            yield
        finally:
            now = _in_line()
            self._wall += time.monotonic() - wall
            self._own += time.process_time() - own
            if line is None or now is None:
                self._known = False
            else:
                self._line += max(0.0, now - line)  # a thread that ended takes its count with it

    def load(self) -> Load:
        """Return what was read."""
        wall = max(self._wall, 1e-9)
        average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        return Load(average, self._own / wall, self._line / wall if self._known else None)


def _in_line() -> float | None:
    """Return the seconds that the threads of this process have waited for a core; ``None`` if that is not told."""
    try:
        found = [int((task / "schedstat").read_text().split()[1]) for task in _TASKS.iterdir()]
    except (OSError, ValueError, IndexError):
        return None
    return sum(found) / 1e9
