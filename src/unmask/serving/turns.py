"""Whose turn it is: of the clients that wait, the one with the fewest texts being written, then who has waited longest.

A client that asks for a hundred texts gets the places that others leave free, and no more.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from unmask.serving.tickets import Ticket


class Turns:
    """Texts that wait for a place in a batch."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Ticket]] = {}
        self._since: dict[str, int] = {}
        self._turn = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def tickets(self) -> list[Ticket]:
        """All of them."""
        return [ticket for own in self._waiting.values() for ticket in own]

    def add(self, ticket: Ticket) -> None:
        """Let a text wait behind the others of its client."""
        client = ticket.job.client
        if client not in self._waiting:
            self._waiting[client] = deque()
            self._stamp(client)
        self._waiting[client].append(ticket)

    def next(self, writing: Iterable[Ticket]) -> Ticket | None:
        """Return the text that is next, beside those that are being written; it still waits."""
        busy = Counter(ticket.job.client for ticket in writing)
        client = min(self._waiting, key=lambda name: (busy[name], self._since[name]), default=None)
        return None if client is None else self._waiting[client][0]

    def remove(self, ticket: Ticket) -> None:
        """Let a text wait no more."""
        client = ticket.job.client
        own = self._waiting[client]
        own.remove(ticket)
        if own:
            self._stamp(client)
        else:
            del self._waiting[client], self._since[client]

    def _stamp(self, client: str) -> None:
        self._turn += 1
        self._since[client] = self._turn
