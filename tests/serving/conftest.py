"""A live server on 127.0.0.1, in a thread, with untrained runs of three processes; one for all tests of this folder."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openai
import pytest

from unmask.serving.app import create_app
from unmask.serving.options import ServeOptions
from unmask.serving.served import Shelf, shelf
from unmask.serving.server import Server, address_of, bound
from untrained_runs import MakeRun, make_run, own_cache, world

__all__ = ["make_run", "own_cache", "world"]

OPTIONS = ServeOptions(
    runs=(), port=0, rows=8, queue=64, max_tokens=128, texts=16, body=1 << 16, patience=1.0, drain=5.0, log=False
)


@dataclass(frozen=True)
class Live:
    """A server that answers.

    Attributes:
        address: Where.
        shelf: What it has loaded.
        service: Its parts.
        server: It.
    """

    address: str
    shelf: Shelf
    service: Any
    server: Server

    def client(self, **more: Any) -> openai.OpenAI:
        """Return the official client."""
        return openai.OpenAI(**{"base_url": f"{self.address}/v1", "api_key": "none", "max_retries": 0, **more})

    def connect(self) -> socket.socket:
        """Return a connection."""
        host, port = self.address.removeprefix("http://").rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=10)


@contextmanager
def running(there: Shelf, **options: Any) -> Iterator[Live]:
    """Serve in a thread until the block is left."""
    told = replace(OPTIONS, **options)
    with bound(told) as listening:
        up = threading.Event()
        app = create_app(there, told)
        server = Server(app, app.state.service, told, up.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert up.wait(30)
            yield Live(address_of(listening), there, app.state.service, server)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture(scope="session")
def served_runs(make_run: MakeRun) -> dict[str, Path]:
    """Untrained runs by their names."""
    return {
        "causal": make_run("causal", "causal"),
        "masked": make_run("masked", "masked"),
        "block": make_run("block", "block"),
    }


@pytest.fixture(scope="session")
def served_shelf(served_runs: dict[str, Path]) -> Shelf:
    """These runs, loaded."""
    return shelf([str(path) for path in served_runs.values()])


@pytest.fixture(scope="session")
def live(served_shelf: Shelf) -> Iterator[Live]:
    """The server that all tests share."""
    with running(served_shelf) as found:
        yield found


@pytest.fixture
def serving(served_shelf: Shelf) -> Callable[..., Any]:
    """Return what serves with other options, for as long as its block lasts."""

    def serve(**options: Any) -> Any:
        return running(served_shelf, **options)

    return serve


@pytest.fixture
def client(live: Live) -> openai.OpenAI:
    """The official client."""
    return live.client()


@pytest.fixture
def serve_options() -> ServeOptions:
    """How servers of these tests run."""
    return OPTIONS


@pytest.fixture
def running_with() -> Callable[..., Any]:
    """Return what serves what is given to it."""
    return running
