"""Work beside the engine that asks a network too (likelihoods, hole lengths, lookups): one thread, a short queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from unmask.serving.problems import Problem

T = TypeVar("T")


class Aside:
    """A thread that does one thing after another.

    Args:
        most: Pieces of work that may wait.
    """

    def __init__(self, most: int = 64) -> None:
        self._most, self._waiting = most, 0
        self._thread = ThreadPoolExecutor(1, "aside")

    async def do(self, work: Callable[[], T]) -> T:
        """Return what the work gives. Work whose asker has left meanwhile is not begun.

        Raises:
            Problem: too much waits already.
        """
        if self._waiting >= self._most:
            raise Problem(429, f"{self._waiting} requests wait for the network already; ask again.", "busy", retry=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
