"""The engine: one thread of the process that owns the networks and writes the texts of all clients, step by step.

HTTP handlers talk to it through thread-safe calls: ``submit`` gives tickets, and each ticket tells what happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unmask.serving.limits import Limits
from unmask.serving.tickets import Job, Ticket


class Observer(Protocol):
    """Is told what the engine does, on the engine's thread; it must be quick."""

    def waits(self, waiting: int, writing: int) -> None:
        """How many texts wait and how many are being written, after each change."""
        ...

    def stepped(self, job: Job, rows: int, words: int, seconds: float) -> None:
        """A step of a batch like ``job``'s: its texts, the words that they have more than before, what it took."""
        ...

    def ended(self, job: Job, kind: str, seconds: float, first: float | None) -> None:
        """A text ended.

        Args:
            job: Its job.
            kind: ``finished``, or why it failed.
            seconds: From submit to now.
            first: From submit to the end of its first step; ``None``: there was none.
        """
        ...


class Engine:
    """Writes texts.

    Args:
        limits: What it takes.
        observe: Is told what it does.
    """

    def __init__(self, limits: Limits, observe: Observer | None = None) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread."""

    def close(self, wait: float) -> None:
        """Take no more texts, finish those there are, for ``wait`` seconds at most, fail the others, and stop."""

    def submit(self, jobs: Sequence[Job]) -> list[Ticket]:
        """Take all jobs or none.

        Raises:
            Busy: the queue has no room for them now.
            TooLarge: a job that never fits.
            Closed: the engine stops.
            Error: what cannot be written: a sampler that cannot drive the run, a text longer than a passage of a run
                with thoughts, a canvas that the run cannot take.
        """
        raise NotImplementedError
