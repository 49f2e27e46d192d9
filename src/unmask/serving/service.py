"""What the routes share: what is loaded, what writes, and what a request may ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request

from unmask.errors import Error
from unmask.serving import asked
from unmask.serving.aside import Aside
from unmask.serving.options import ServeOptions
from unmask.serving.problems import Problem

if TYPE_CHECKING:
    from unmask.serving.engine import Engine
    from unmask.serving.metrics import Metrics
    from unmask.serving.served import Shelf

T = TypeVar("T")


@dataclass
class Service:
    """A server's parts.

    Attributes:
        options: How it is to run.
        shelf: What is loaded.
        engine: What writes.
        metrics: What is counted.
        aside: What asks networks beside the engine.
        draining: Whether it finishes what it has and takes nothing more.
    """

    options: ServeOptions
    shelf: Shelf
    engine: Engine
    metrics: Metrics
    aside: Aside = field(default_factory=Aside)
    draining: bool = False

    async def stop(self, wait: float) -> None:
        """Take nothing more, and finish what is being written within ``wait`` seconds, or tell that it is not."""
        self.draining = True
        await asyncio.to_thread(self.engine.close, wait)

    async def laid(self, work: Callable[[], T], *, asks: bool = False) -> T:
        """Return what a request comes to, worked out off the event loop.

        Args:
            work: Works it out.
            asks: Whether that asks a network, or searches an index.

        Raises:
            Problem: what cannot be done, no folder of this machine named in it.
        """
        if self.draining:
            raise Problem(503, "the server stops and takes no more requests; ask again.", code="closed", retry=1.0)
        try:
            return await (self.aside.do(work) if asks else asyncio.to_thread(work))
        except Error as error:
            raise asked.refused(self.shelf, error) from error


def service_of(request: Request) -> Service:
    """Return the server's parts."""
    found: Service = request.app.state.service
    return found


def client_of(request: Request) -> str:
    """Return who asks: by key where there are keys, else by address."""
    key = request.scope.get("state", {}).get("key")
    return str(key or (request.client.host if request.client else ""))


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what the work gives; it is given up when the client leaves.

    Raises:
        Problem: the client has left; nobody reads this.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Problem(499, "the client has left.")
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
