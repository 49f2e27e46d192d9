"""What is told of the engine to metrics and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from unmask.serving.tickets import Job


class Observer(Protocol):
    """Is told what the engine does, on the engine's thread; it must be quick."""

    def waits(self, waiting: int, writing: int) -> None:
        """How many texts wait and how many are being written, after each turn."""
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
