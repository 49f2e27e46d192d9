"""A text on its way through the engine: what was asked, what happens to it, and who is told.

The engine's thread tells (:meth:`Ticket.tell`), one reader on an event loop reads (:meth:`Ticket.events`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from unmask.api.model import Model
    from unmask.sampling.batch import Tick
    from unmask.sampling.finished import Sample
    from unmask.sampling.request import Request, Vocabulary
    from unmask.sampling.sampler import Sampler

Kind = Literal["model", "request", "deadline", "memory", "cancelled", "closed", "internal"]
"""Why a text was not finished: the network's answer is not finite; what was asked cannot be written, as is known only
now; time is up; there is no memory; nobody wants it; the engine stops; a fault of ours."""


@dataclass(frozen=True)
class Job:
    """One text.

    Attributes:
        run: A loaded run (``unmask.load``); the one that writes, where a verifier does.
        sampler: Constructed; a verifier is inside it.
        request: What to write.
        vocabulary: The special tokens.
        client: Who asks: within a batch clients take turns.
        deadline: Seconds from ``submit``; ``None``: the engine's.
        watched: Every step is told, not the opening and the end alone.
        half: Whether the network computes in bfloat16.
    """

    run: Model
    sampler: Sampler
    request: Request
    vocabulary: Vocabulary
    client: str = ""
    deadline: float | None = None
    watched: bool = False
    half: bool = False


@dataclass(frozen=True)
class Opened:
    """The text is being written; nothing of it is decided yet.

    Attributes:
        tick: A moment of the texts that share its batch, without what networks keep for themselves.
        row: Its row in there.
    """

    tick: Tick
    row: int


@dataclass(frozen=True)
class Stepped:
    """A step was taken; told of watched texts, the last step among them.

    Attributes:
        tick: The moment after it.
        row: The text's row.
    """

    tick: Tick
    row: int


@dataclass(frozen=True)
class Finished:
    """The text is written.

    Attributes:
        sample: It.
        tick: The last moment, which has its thought.
        row: Its row in there.
    """

    sample: Sample
    tick: Tick
    row: int


@dataclass(frozen=True)
class Failed:
    """The text will not be written.

    Attributes:
        kind: Why.
        message: One line for the user.
    """

    kind: Kind
    message: str


Event = Opened | Stepped | Finished | Failed


class Ticket:
    """A job that an engine took. Events come in order; the last one is ``Finished`` or ``Failed``.

    Attributes:
        number: Which of the engine's texts it is, from 0.
        job: What was asked.
        since: When it was taken (``time.monotonic``).
        until: When it is given up; infinite: never.
        size: Bytes that it is counted with.
        first: When its first step was taken; ``None``: it was not yet.
        resting: Whether it takes no steps until its reader has read.
        outcome: ``finished``, or why it failed; empty as long as it is not over.
    """

    def __init__(self, number: int, job: Job, until: float, size: int, wake: Callable[[], None]) -> None:
        self.number, self.job, self.until, self.size = number, job, until, size
        self.since = time.monotonic()
        self.first: float | None = None
        self.resting, self.outcome = False, ""
        self._wake, self._lock = wake, threading.Lock()
        self._events: deque[Event] = deque()
        self._reader: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._cancelled = False

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens, to the end. One reader reads; whoever stops reading before the end cancels the text."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            self._reader = (loop, news)
        try:
            while True:
                news.clear()
                while (event := self._next()) is not None:
                    yield event
                    if isinstance(event, Finished | Failed):
                        return
                await news.wait()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Give the text up: it leaves before the next step of its batch. Nothing happens to one that is finished."""
        with self._lock:
            if self.over:
                return
            self._cancelled = True
        self._wake()

    @property
    def cancelled(self) -> bool:
        """Whether it was given up."""
        return self._cancelled

    @property
    def over(self) -> bool:
        """Whether its last event was told."""
        return bool(self.outcome)

    @property
    def unread(self) -> int:
        """Events that wait for the reader."""
        return len(self._events)

    def tell(self, event: Event) -> None:
        """Add an event; behind the last one nothing is added. From the engine's thread."""
        with self._lock:
            if self.over:
                return
            if isinstance(event, Finished | Failed):
                self.outcome = "finished" if isinstance(event, Finished) else event.kind
            self._events.append(event)
            reader = self._reader
        if reader is not None:
            loop, news = reader
            try:
                loop.call_soon_threadsafe(news.set)
            except RuntimeError:  # its loop is closed: nobody reads any more
                self.cancel()

    def _next(self) -> Event | None:
        with self._lock:
            event = self._events.popleft() if self._events else None
        if event is not None and self.resting:
            self._wake()
        return event
