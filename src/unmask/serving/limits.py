"""What the engine takes and what it turns away: how many texts, how much memory, how long; the errors that say so."""

from __future__ import annotations

from dataclasses import dataclass

from unmask.errors import Error


@dataclass(frozen=True)
class Limits:
    """What an engine takes.

    Attributes:
        rows: Most texts that are written together in one batch; texts of other runs or samplers are other batches.
        queue: Most texts that wait.
        memory: Most bytes that the texts being written may take, by :func:`unmask.serving.memory.row_bytes`.
        deadline: Seconds from ``submit`` until a text is given up, where its job names none; ``None``: never.
        unread: Events of a watched text that may wait for its reader; with more the text rests until they are read.
    """

    rows: int = 32
    queue: int = 64
    memory: int = 2 << 30
    deadline: float | None = 300.0
    unread: int = 64

    def __post_init__(self) -> None:
        """Refuse what would let nothing in."""
        for name in ("rows", "queue", "memory", "unread"):
            if getattr(self, name) < 1:
                raise Error(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.deadline is not None and not self.deadline > 0:
            raise Error(f"deadline is {self.deadline}; it must be above 0 seconds.")


class Busy(Error):
    """The queue is full.

    Attributes:
        retry_after: Seconds until there is likely to be room.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLarge(Error):
    """A text that does not fit into the engine's memory, however long it waits, or more texts than its queue has."""


class Closed(Error):
    """The engine takes no more texts."""
