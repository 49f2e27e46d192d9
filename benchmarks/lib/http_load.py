"""Clients that ask a server at once, each anew when it was answered: what they were told, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from benchmarks.lib.http_client import LOST, REFUSED, WHOLE, Answer, Connection

PATIENCE = 120.0
"""Seconds after which nobody asks a server any more that was told to stop."""


@dataclass
class Load:
    """What clients saw.

    Attributes:
        clients: How many.
        began: When they began.
        seconds: How long they asked anew.
        answers: All of theirs.
        client_seconds: Processor seconds of the clients until the last was answered.
        server_seconds: Processor seconds of the server meanwhile.
        memory: Bytes that the server held then.
    """

    clients: int
    began: float
    seconds: float
    answers: list[Answer] = field(default_factory=list)
    client_seconds: float = 0.0
    server_seconds: float = 0.0
    memory: int = 0

    @property
    def whole(self) -> list[Answer]:
        """Those that were answered."""
        return [one for one in self.answers if one.end == WHOLE]

    @property
    def rate(self) -> float:
        """Tokens a second; an answer counts by the share of its time in which all clients asked."""
        ended = self.began + self.seconds
        return sum(one.tokens * one.within(self.began, ended) for one in self.whole) / self.seconds

    def latency(self, percent: float) -> float:
        """Return a percentile of the seconds until whole answers."""
        return float(np.percentile([one.seconds for one in self.whole], percent))

    @property
    def first(self) -> float | None:
        """The median of the seconds until something was shown; ``None``: nothing ever was before the end."""
        shown = [one.first for one in self.whole if one.first is not None]
        return float(np.median(shown)) if shown else None

    @property
    def size(self) -> float:
        """The mean bytes of a whole answer."""
        return float(np.mean([one.size for one in self.whole]))

    @property
    def lasted(self) -> float:
        """Seconds until the last answer."""
        return max(one.began + one.seconds for one in self.answers) - self.began

    @property
    def unfairness(self) -> float:
        """The slowest client's p99 by the fastest one's."""
        own = [[one.seconds for one in self.whole if one.client == client] for client in range(self.clients)]
        tails = [float(np.percentile(seconds, 99)) for seconds in own if seconds]
        return max(tails) / min(tails)


async def _clients(
    address: str, requests: Sequence[bytes], clients: int, seconds: float, stop: asyncio.Event | None
) -> list[Answer]:
    """Ask from all clients until the time is over, or until the server takes nothing more."""
    numbers, found = count(), list[Answer]()
    until = time.perf_counter() + seconds

    async def client(which: int) -> None:
        connection = Connection(address, which)
        while time.perf_counter() < until:
            number = next(numbers) % len(requests)
            found.append(await connection.ask(requests[number], number))
            if found[-1].end in (REFUSED, LOST) and stop is not None and stop.is_set():
                break
            if found[-1].end != WHOLE:
                await asyncio.sleep(0.05)
        connection.close()

    await asyncio.gather(*map(client, range(clients)))
    return found


def load(address: str, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Ask from some clients for some seconds, each anew when it was answered; wait for the last answers.

    Args:
        address: The server's.
        requests: Bodies, asked in turn, again and again.
        clients: How many ask at once.
        seconds: How long.
    """
    spent, began = time.process_time(), time.perf_counter()
    answers = asyncio.run(_clients(address, requests, clients, seconds, None))
    return Load(clients, began, seconds, answers, time.process_time() - spent)


def alone(address: str, requests: Sequence[bytes]) -> list[Answer]:
    """Ask each request by itself."""

    async def each() -> list[Answer]:
        connection = Connection(address)
        found = [await connection.ask(body, number) for number, body in enumerate(requests)]
        connection.close()
        return found

    return asyncio.run(each())


def load_until_told(
    address: str, requests: Sequence[bytes], clients: int, seconds: float, signal: Callable[[], None]
) -> list[Answer]:
    """Ask from some clients, tell the server to stop after some seconds, and go on until it takes nothing more."""

    async def both() -> list[Answer]:
        told = asyncio.Event()

        async def tell() -> None:
            await asyncio.sleep(seconds)
            signal()
            told.set()

        asking = _clients(address, requests, clients, seconds + PATIENCE, told)
        return (await asyncio.gather(asking, tell()))[0]

    return asyncio.run(both())
