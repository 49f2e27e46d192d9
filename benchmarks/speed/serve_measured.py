"""A server that is measured: its process, its requests, the texts that it writes alone, and its loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.lib.http_client import WHOLE, Answer
from benchmarks.lib.http_load import Load, alone, load
from benchmarks.lib.server_process import ServerProcess
from benchmarks.speed.serve_peers import Peer
from unmask.errors import Error
from unmask.training.run import Run

BEGINNINGS = ("Once upon a time", "The old man", "One day a small bird", "It was", "Tom and his dog went to the river")
TEXT, CANVAS = "text", "canvas"
"""What a stream tells."""


@dataclass
class Measured:
    """A server, its loads, and the texts that it wrote alone.

    Attributes:
        server: Its process.
        requests: Bodies by kind of stream.
        solo: The text of each request, asked by itself.
        loads: By kind of stream and number of clients.
    """

    server: ServerProcess
    requests: dict[str, list[bytes]]
    solo: list[str]
    loads: dict[tuple[str, int], list[Load]] = field(default_factory=dict)

    def take(self, kind: str, clients: int, seconds: float) -> float:
        """Take a load; return its tokens a second.

        Raises:
            Error: nobody was answered.
        """
        busy = self.server.busy()
        found = load(self.server.address, self.requests[kind], clients, seconds)
        if not found.whole:
            raise Error(f"{self.server.name} answered none of {clients} clients ({found.answers[-1].said}).")
        found.server_seconds = self.server.busy() - busy
        found.memory = self.server.resident()
        self.loads.setdefault((kind, clients), []).append(found)
        return found.rate

    def answers(self) -> list[Answer]:
        """Return the answers of all loads."""
        return [answer for loads in self.loads.values() for one in loads for answer in one.answers]

    def same(self) -> list[float]:
        """Return how many percent of the whole answers are the text that the request gets alone."""
        return [100.0 * (one.text == self.solo[one.number]) for one in self.answers() if one.end == WHOLE]


def body(run: str, number: int, tokens: int, stream: str = TEXT) -> bytes:
    """Return a request of ours: its number decides its prompt and its seed."""
    told = {"model": run, "prompt": BEGINNINGS[number % len(BEGINNINGS)], "max_tokens": tokens, "seed": number}
    told |= {"stream": True, "unmask": {"stream": stream, "settings": {"ignore_eos": True}}}
    told |= {"stream_options": {"include_usage": True}}
    return json.dumps(told).encode()


def started(run: Run, tokens: int, pool: int, more: Sequence[str] = ()) -> Measured:
    """Start ``unmask serve`` with a run, and have each request written alone."""
    arguments = ["-m", "unmask", "serve", str(run.path), "--port", "PORT", "--quiet", *more]
    requests = {kind: [body(run.name, n, tokens, kind) for n in range(pool)] for kind in (TEXT, CANVAS)}
    return _measured(ServerProcess(run.name, arguments, requests[TEXT][0]), requests)


def started_peer(peer: Peer, tokens: int, pool: int) -> Measured:
    """Start a peer, and have each request written alone."""
    requests = [peer.body(BEGINNINGS[n % len(BEGINNINGS)], tokens, n) for n in range(pool)]
    return _measured(peer.start(requests[0]), {TEXT: requests})


def _measured(server: ServerProcess, requests: dict[str, list[bytes]]) -> Measured:
    try:
        solo = alone(server.address, requests[TEXT])
        if bad := [one for one in solo if one.end != WHOLE]:
            raise Error(f"{server.name} did not answer a client that is alone ({bad[0].said}).")
    except BaseException:
        server.end()
        raise
    return Measured(server, requests, [one.text for one in solo])
