"""A serving process: its socket, its patience with clients, and an end that loses nothing untold."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from unmask.errors import Error
from unmask.serving import logs
from unmask.serving.app import create_app
from unmask.serving.options import ServeOptions
from unmask.serving.problems import Problem
from unmask.serving.replicas import across
from unmask.serving.served import shelf
from unmask.serving.workers import many

_HEADER = 16 << 10
"""Most bytes of a request's head."""
_OVER = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"


class Patient(H11Protocol):
    """A connection that is closed when a request's head does not come in time, or when there are too many."""

    patience = 10.0
    most = 1024
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            body = json.dumps(Problem(503, "there are too many connections; ask again.", code="busy").body).encode()
            head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            transport.write(_OVER + head + body)
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.patience, self._close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()


class Stopping(Protocol):
    """What can be told to finish."""

    async def stop(self, wait: float) -> None:
        """Take nothing more, and finish what there is within ``wait`` seconds, or tell that it is not finished."""


class Server(uvicorn.Server):
    """A server that finishes what it has when it is told to stop; what takes too long is told so.

    Args:
        app: What answers.
        service: What is told to finish.
        options: How it is to run.
        tell: Called once requests are taken.
    """

    def __init__(self, app: ASGIApp, service: Stopping, options: ServeOptions, tell: Callable[[], None]) -> None:
        super().__init__(config_of(app, options))
        self._service, self._drain, self._tell = service, options.drain, tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing more, and wait for what is being written."""
        closing = asyncio.create_task(self._service.stop(self._drain))
        await super().shutdown(sockets)
        await closing


def bound(options: ServeOptions) -> socket.socket:
    """Return the socket that the server listens at.

    Raises:
        Error: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        if os.name != "nt":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise Error(
            f"cannot listen at {options.host}:{options.port} ({why}); choose another --port, or --host 127.0.0.1."
        ) from error
    found.set_inheritable(True)
    return found


def address_of(found: socket.socket) -> str:
    """Return a socket's address as one asks for it."""
    host, port = found.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def config_of(app: ASGIApp, options: ServeOptions) -> uvicorn.Config:
    """Return how uvicorn runs an app."""
    return uvicorn.Config(
        app,
        http=type("Patient", (Patient,), {"patience": options.patience, "most": options.connections}),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(options.drain) + 5,
        h11_max_incomplete_event_size=_HEADER,
    )


def serve(options: ServeOptions, tell: Callable[[str], None]) -> None:
    """Serve until told to stop.

    Args:
        options: How.
        tell: Is told the address, once requests are taken.

    Raises:
        Error: runs that cannot be loaded, or an address that cannot be had.
    """
    with bound(options) as listening:
        if options.on == "ray":
            across(options, listening, lambda: tell(address_of(listening)))
        elif options.workers == 1:
            work(options, listening, lambda: tell(address_of(listening)))
        else:
            many(options, listening, lambda: tell(address_of(listening)))


def work(options: ServeOptions, listening: socket.socket, tell: Callable[[], None]) -> None:
    """Load the runs, and serve in this process. Arguments and errors: as of :func:`serve`."""
    logs.set_up(options.log)
    there = shelf(options.runs, options.indexes, options.device, options.cache)
    app = create_app(there, options)
    Server(app, app.state.service, options, tell).run(sockets=[listening])
