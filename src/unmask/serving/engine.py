"""The engine: one thread of the process that owns the networks and writes the texts of all clients, step by step.

HTTP handlers talk to it through thread-safe calls: ``submit`` gives tickets, and each ticket tells what happens. Texts
of one network, sampler and vocabulary share a batch (:mod:`unmask.serving.group`), into which they come and from which
they go between steps. A turn of the engine is one step of one batch: that which has cost the least so far. All samplers
write in batches, those with a verifier too; texts are with those of the same verifier.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import Any

import torch

from unmask.serving.group import LOG, Group
from unmask.serving.limits import Busy, Closed, Limits, TooLarge
from unmask.serving.memory import row_bytes
from unmask.serving.observer import Observer as Observer
from unmask.serving.tickets import Job, Kind, Ticket


class Engine:
    """Writes texts.

    Args:
        limits: What it takes.
        observe: Is told what it does.
    """

    def __init__(self, limits: Limits, observe: Observer | None = None) -> None:
        self._limits, self._observe = limits, observe
        self._news = threading.Condition()
        self._groups: list[Group] = []
        self._count, self._pace, self._last = 0, 1.0, -math.inf
        self._hungry: tuple[Group, Ticket] | None = None
        self._until = math.inf
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="unmask-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self, wait: float) -> None:
        """Take no more texts, finish those there are, for ``wait`` seconds at most, fail the others, and stop."""
        with self._news:
            self._closing, self._until = True, time.monotonic() + wait
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._give_up("closed", "the server stops; ask again later.", self._groups)

    def submit(self, jobs: Sequence[Job]) -> list[Ticket]:
        """Take all jobs or none.

        Raises:
            Busy: the queue has no room for them now.
            TooLarge: a job that never fits, or more of them than the queue holds.
            Closed: the engine stops.
            Error: what cannot be written: a sampler that cannot drive the run, a text longer than a passage of a run
                with thoughts, a canvas or settings that the sampler cannot take.
        """
        if len(jobs) > self._limits.queue:
            raise TooLarge(
                f"{len(jobs)} texts are asked for at once, and {self._limits.queue} may wait; ask for fewer."
            )
        with self._news:
            self._check_room(len(jobs))
            groups = list(self._groups)
        own, sizes = [], []
        for job in jobs:
            own.append(_of(job, groups + own) or Group(job))
            sizes.append(self._size(own[-1], job))
        with self._news:
            self._check_room(len(jobs))
            tickets = []
            for job, group, size in zip(jobs, own, sizes, strict=True):
                group = _of(job, self._groups) or group
                wait = self._limits.deadline if job.deadline is None else job.deadline
                until = math.inf if wait is None else time.monotonic() + wait
                tickets.append(Ticket(self._count, job, until, size, self._wake))
                self._count += 1
                if group not in self._groups:
                    least = min((one.cost for one in self._groups if not one.empty), default=0.0)
                    group.cost = max(group.cost, least)
                    self._groups.append(group)
                group.waiting.add(tickets[-1])
            self._news.notify()
        return tickets

    def _check_room(self, count: int) -> None:
        if self._closing:
            raise Closed("the server stops and takes no more texts; ask again later.")
        over = count + self._waiting - self._limits.queue
        if over > 0:
            wait = min(max(over * self._pace, 1.0), 60.0)
            raise Busy(f"{self._waiting} texts wait, and {self._limits.queue} may; ask again in {wait:.0f} s.", wait)

    def _size(self, group: Group, job: Job) -> int:
        """Return what a job is counted with, once it is known that it can be written."""
        group.batch.check([job.request])
        job.sampler.start([job.request], job.vocabulary)
        size = row_bytes(group.model, job.sampler, job.request, group.batch.width(job.request))
        if size > self._limits.memory:
            raise TooLarge(
                f"this text takes about {size / 1e6:,.0f} MB while it is written, and the server has "
                f"{self._limits.memory / 1e6:,.0f} MB for all; ask for a shorter one."
            )
        return size

    @property
    def _waiting(self) -> int:
        return sum(len(group.waiting) for group in self._groups)

    def _wake(self) -> None:
        with self._news:
            self._news.notify()

    @torch.no_grad()
    def _run(self) -> None:
        while True:
            concerned = self._groups
            try:
                with self._news:
                    self._sweep()
                    group = self._next()
                    if group is None:
                        if self._closing and not self._groups:
                            return
                        self._news.wait(self._patience())
                        continue
                concerned = [group]
                self._turn(group)
            except Exception:  # a fault of ours, not of a text: whoever is concerned is told, and the others go on
                LOG.exception("a turn of the engine failed")
                self._give_up("internal", "the engine failed at this text; the server's log says where.", concerned)
                with self._news:
                    self._groups = [group for group in self._groups if group not in concerned]

    def _sweep(self) -> None:
        """Let go of texts that nobody wants, whose time is up, or that closing does not wait for; of empty groups."""
        now = time.monotonic()
        if now >= self._until:
            self._give_up("closed", "the server stops; ask again later.", self._groups)
        for group in self._groups:
            for ticket in [*group.waiting.tickets, *group.writing.values()]:
                if ticket.cancelled:
                    self._drop(group, ticket, "cancelled", "the text was given up by who asked for it.")
                elif now >= ticket.until:
                    self._drop(group, ticket, "deadline", f"the text was not finished in {now - ticket.since:.0f} s.")
            group.rest(self._limits.unread, self._limits.rows)
        self._groups = [group for group in self._groups if not group.empty]

    def _next(self) -> Group | None:
        """Return the group whose turn it is: of those that can take a step, the one that has cost the least."""
        able = [group for group in self._groups if group.batch.numbers or self._admitted(group)]
        return min(able, key=lambda group: group.cost, default=None)

    def _admitted(self, group: Group) -> Ticket | None:
        """Return the text that may join a group now."""
        ticket = group.waiting.next(group.writing.values())
        if ticket is None or len(group.batch.numbers) >= self._limits.rows:
            return None
        if self._hungry is not None and not self._hungry[1].over:
            # a large text waits for memory, and would wait for ever if small ones took it
            if self._hungry[0] is not group:
                return None
            ticket = self._hungry[1]
        used = sum(one.size for each in self._groups for one in each.writing.values())
        fits = used + ticket.size <= self._limits.memory
        self._hungry = None if fits else (group, ticket)
        return ticket if fits else None

    def _turn(self, group: Group) -> None:
        """Let texts join, and take a step."""
        over = []
        while True:
            with self._news:
                ticket = self._admitted(group)
                if ticket is None:
                    break
                group.waiting.remove(ticket)
            over += group.open([ticket])
        if group.batch.numbers:
            taken, ended = group.step()
            group.cost += taken.seconds
            over += ended
            self._tell("stepped", group.job, taken.rows, taken.words, taken.seconds)
        for ticket in over:
            self._ended(ticket)
        self._tell("waits", self._waiting, sum(len(one.writing) for one in self._groups))

    def _drop(self, group: Group, ticket: Ticket, kind: Kind, message: str) -> None:
        if ticket.number not in group.writing:
            group.waiting.remove(ticket)
        group.drop(ticket, kind, message)
        self._ended(ticket)

    def _ended(self, ticket: Ticket) -> None:
        now = time.monotonic()
        self._pace += 0.2 * (now - max(self._last, ticket.since) - self._pace)
        self._last = now
        first = None if ticket.first is None else ticket.first - ticket.since
        self._tell("ended", ticket.job, ticket.outcome, now - ticket.since, first)

    def _tell(self, what: str, *told: Any) -> None:
        try:
            if self._observe is not None:
                getattr(self._observe, what)(*told)
        except Exception:  # who looks on stops nobody
            LOG.exception("the observer failed")

    def _give_up(self, kind: Kind, message: str, groups: Sequence[Group]) -> None:
        with self._news:
            for group in groups:
                for ticket in [*group.waiting.tickets, *group.writing.values()]:
                    self._drop(group, ticket, kind, message)

    def _patience(self) -> float | None:
        """Return the seconds until something is due; ``None``: nothing is."""
        due = [ticket.until for group in self._groups for ticket in [*group.waiting.tickets, *group.writing.values()]]
        least = min([*due, self._until], default=math.inf)
        return None if least == math.inf else max(least - time.monotonic(), 0.0)


def _of(job: Job, groups: Sequence[Group]) -> Group | None:
    return next((group for group in groups if group.holds(job)), None)
