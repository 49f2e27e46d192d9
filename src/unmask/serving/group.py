"""The texts of one network, sampler and vocabulary: those that wait, and the batch of those that are being written.

All of it but ``waiting`` belongs to the engine's thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from unmask.diffusion.carried import Notes
from unmask.errors import Error
from unmask.sampling.batch import Batch, Resting, Tick
from unmask.sampling.categorical import NotFinite
from unmask.serving.tickets import Event, Failed, Finished, Job, Kind, Opened, Stepped, Ticket
from unmask.serving.turns import Turns

LOG = logging.getLogger("unmask.serving")


@dataclass(frozen=True)
class Taken:
    """What a step of a batch was.

    Attributes:
        rows: Its texts.
        words: Words that they have more than before.
        seconds: What it took.
    """

    rows: int
    words: int
    seconds: float


class Group:
    """Texts that share a batch.

    Args:
        job: One of them.

    Attributes:
        job: The first of them; the others are like it in all that they share.
        model: The network.
        batch: Those that are being written.
        waiting: Those that wait.
        writing: Tickets by number: those of the batch, and those that rest.
        cost: Seconds that its steps took, counted from what the least of the others had when it came.

    Raises:
        Error: a sampler that cannot drive the run.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.model: Any = job.run.model(half=job.half)
        self.batch = Batch(self.model, job.sampler, job.vocabulary, job.run.process)
        self.waiting, self.cost = Turns(), 0.0
        self.writing: dict[int, Ticket] = {}
        self._resting: dict[int, Resting] = {}
        self._written: dict[int, int] = {}

    def holds(self, job: Job) -> bool:
        """Tell whether a job belongs to it."""
        own = self.job
        return (
            (own.run is job.run and own.half == job.half)
            and own.sampler == job.sampler
            and own.vocabulary == job.vocabulary
            and (own.vocabulary.table is None) == (job.vocabulary.table is None)
            and _equal(own.vocabulary.spaced, job.vocabulary.spaced)
        )

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is written."""
        return not self.writing and not len(self.waiting)

    def open(self, tickets: Iterable[Ticket]) -> list[Ticket]:
        """Let texts join, and return those that are over with it: with nothing to write, or nothing that can be."""
        over = []
        for ticket in tickets:
            try:
                tick = self.batch.join({ticket.number: ticket.job.request})
            except Exception as fault:
                self._fail(ticket, fault)
                over.append(ticket)
                continue
            self.writing[ticket.number] = ticket
            self._written[ticket.number] = 0
            over += self._told(tick, Opened)
        return over

    def drop(self, ticket: Ticket, kind: Kind, message: str) -> None:
        """Let a text go unfinished."""
        self._forget(ticket)
        ticket.tell(Failed(kind, message))

    def rest(self, unread: int, rows: int) -> None:
        """Take watched texts out whose readers are behind by as many events; put back those that were read.

        Args:
            unread: The events.
            rows: Most texts of the batch.
        """
        for number, ticket in self.writing.items():
            if number in self._resting:
                if ticket.unread <= unread // 2 and len(self.batch.numbers) < rows:
                    self.batch.put(self._resting.pop(number))
                    ticket.resting = False
            elif ticket.unread >= unread and number in self.batch.numbers:
                ticket.resting = True
                self._resting[number] = self.batch.take(number)

    def step(self) -> tuple[Taken, list[Ticket]]:
        """Take a step of all that do not rest, and return what it took and whose texts are over."""
        since, numbers = time.perf_counter(), self.batch.numbers
        try:
            tick = self.batch.step()
        except Exception as fault:
            over = self._faulty(numbers, fault)
            return Taken(len(numbers), 0, time.perf_counter() - since), over
        taken = time.perf_counter() - since
        now = time.monotonic()
        more = 0
        for number, words in zip(tick.which, tick.written, strict=True):
            more += words - self._written[number]
            self._written[number] = words
            ticket = self.writing[number]
            ticket.first = ticket.first or now
        return Taken(len(numbers), more, taken), self._told(tick, Stepped)

    def _faulty(self, numbers: tuple[int, ...], fault: Exception) -> list[Ticket]:
        """Let the texts go whose step raises when each is taken alone; where none does, all."""
        found: dict[int, Exception] = {}
        if len(numbers) > 1:
            try:
                found = self.batch.faults()
            except Exception as worse:  # they cannot even be laid side by side
                fault = worse
        over = [self.writing[number] for number in (found or numbers)]
        for ticket in over:
            self._fail(ticket, found.get(ticket.number, fault))
        return over

    def _fail(self, ticket: Ticket, fault: Exception) -> None:
        kind, message = told(fault)
        if kind == "internal":
            LOG.error("a step of %s failed", ticket.job.sampler.Settings.name, exc_info=fault)
        self.drop(ticket, kind, message)

    def _told(self, tick: Tick, event: type[Opened] | type[Stepped]) -> list[Ticket]:
        """Tell what a moment is, and return the tickets of the texts that are done with it."""
        done = tick.window.done.tolist()
        over, shown = [], None
        for row, number in enumerate(tick.which):
            ticket = self.writing[number]
            if not (done[row] or ticket.job.watched or event is Opened):
                continue
            shown = shown or public(tick)
            if event is Opened or ticket.job.watched:
                ticket.tell(event(shown, row))
            if done[row]:
                over.append(ticket)
                self._forget(ticket)
                ticket.tell(_ended(shown, row))
        return over

    def _forget(self, ticket: Ticket) -> None:
        if self.writing.pop(ticket.number, None) is not None:
            del self._written[ticket.number]
            if self._resting.pop(ticket.number, None) is None:
                self.batch.leave([ticket.number])


def public(tick: Tick) -> Tick:
    """Return a moment without what networks and samplers keep for themselves, which may be large."""
    window, checks = tick.window, tick.window.checks
    checks = None if checks is None else replace(checks, cache=None)
    return replace(tick, window=replace(window, cache=None, notes=Notes(), looks=None, checks=checks))


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or torch.equal(one, other)


def told(fault: Exception) -> tuple[Kind, str]:
    """Return what an exception in a step means to the user."""
    if isinstance(fault, NotFinite):
        return "model", str(fault)
    if isinstance(fault, Error):
        return "request", str(fault)
    lacks = isinstance(fault, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(fault)
    if lacks:
        return "memory", "there was no memory for a step of this text; ask for a shorter one, or later."
    return "internal", f"a step of this text failed ({type(fault).__name__}); the server's log says where."


def _ended(tick: Tick, row: int) -> Event:
    thought = tick.window.thought
    if thought is not None and not bool(thought.cells[row].isfinite().all()):
        return Failed("model", "the network's thought is not finite; look for such numbers in what it was given.")
    return Finished(tick.sample(row), tick, row)
