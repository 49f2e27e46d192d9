"""Replicas of the server as actors of Ray Serve (an extra: ``pip install 'unmask[ray,serve]'``), behind this process.

This process has the port, the keys and the limits (:mod:`unmask.serving.front`); each replica has the app, its own
weights, its engine and its queue. Ray Serve chooses a replica for each request, looks after their health and replaces
one that dies. Requests travel as bytes, and are parsed by the app.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.types import Message

from unmask.cluster import connected, room
from unmask.errors import Error
from unmask.serving import logs
from unmask.serving.app import create_app
from unmask.serving.counts import TELLS, Counts, added
from unmask.serving.front import TOLD, Front
from unmask.serving.metrics import Metrics
from unmask.serving.safety import Guard, route_of
from unmask.serving.served import shelf
from unmask.threads import allowed_cores
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.serving.options import ServeOptions

_LOOKS = {"health_check_period_s": 2.0, "health_check_timeout_s": 60.0}
_BEGINS = 3
"""Times that a replica may fail to begin."""


class Replica:
    """The app with its engine; messages of answers instead of a port.

    Args:
        options: How the server is to run.
        folder: Where it was started: relative paths mean what they mean there.
        tell: Is told what is counted, every few seconds.
    """

    def __init__(self, options: ServeOptions, folder: str, tell: Callable[[str], object]) -> None:
        if os.path.isdir(folder):
            os.chdir(folder)
        logs.set_up(False)
        own = replace(options, log_prompts=False, log=False)  # the front logs requests
        self.app = create_app(shelf(own.runs, own.indexes, own.device, own.cache), own)
        self._tell, self._life = tell, AsyncExitStack()
        self._opened: asyncio.Task[Any] | None = None
        self._tells: asyncio.Task[None] | None = None

    async def check_health(self) -> None:
        """Tell that it can write.

        Raises:
            RuntimeError: its engine has ended; Ray Serve replaces it.
        """
        if self._opened is None:
            self._opened = asyncio.ensure_future(
                self._life.enter_async_context(self.app.router.lifespan_context(self.app))
            )
            self._tells = asyncio.ensure_future(self._telling())
        await self._opened
        if not self.app.state.service.engine.alive:
            raise RuntimeError("the engine has ended")

    async def close(self) -> None:
        """Stop its engine."""
        if self._tells is not None:
            self._tells.cancel()
        await self._life.aclose()

    async def answer(self, request: dict[str, Any], body: bytes) -> AsyncGenerator[Message, None]:
        """Yield the messages of an answer, and before and behind them what is told of it.

        It is given up when it is closed before.
        """
        await self.check_health()
        scope = {"type": "http", "asgi": {"version": "3.0"}, "root_path": "", "state": {}, **request}
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        bodies: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return bodies.pop() if bodies else await asyncio.Future()

        async def send(message: Message) -> None:
            messages.put_nowait(message)

        async def run() -> None:
            try:
                await self.app(scope, receive, send)
            finally:
                messages.put_nowait(None)

        def told() -> Message:
            return {"type": TOLD, "route": route_of(scope), "told": scope["state"].get("told", {})}

        task = asyncio.ensure_future(run())
        try:
            while (message := await messages.get()) is not None:
                if message["type"] == "http.response.start":
                    yield told()  # if this process ends on the way, the front knows at least whose answer it was
                yield message
            await task
            yield told()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _telling(self) -> None:
        while True:
            self._tell(self.app.state.service.metrics.text().decode())
            await asyncio.sleep(TELLS)


class _OnRay(Replica):
    """A replica as Ray Serve makes it."""

    def __init__(self, options: ServeOptions, folder: str, counts: Any) -> None:
        from ray import serve

        name = str(serve.get_replica_context().replica_id.unique_id)
        super().__init__(options, folder, lambda text: counts.tell.remote(name, text))


def across(options: ServeOptions, listening: socket.socket, tell: Callable[[], None]) -> None:
    """Serve with replicas on Ray until told to stop.

    Args:
        options: How.
        listening: The socket of this process.
        tell: Called once requests are taken.

    Raises:
        Error: Ray is not installed or has no room, there is no cluster, or a replica cannot load its runs.
    """
    from unmask.serving.server import Server

    logs.set_up(options.log)
    for run in options.runs:
        Run.open(run)  # what is no run is known before Ray is started
    metrics = Metrics()
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):
            ray = stack.enter_context(connected(options.address))
            serve = _serve()
            counts = ray.remote(Counts).options(num_cpus=0).remote()
            stack.callback(ray.kill, counts)
            handle = _deployed(ray, serve, options, counts, stack)

        async def ask(request: dict[str, Any], body: bytes) -> AsyncGenerator[Message, None]:
            answer = handle.remote(request, body)
            try:
                async for message in answer:
                    yield message
            finally:
                answer.cancel()  # nothing, where it is over

        async def counted() -> bytes:
            told = await counts.all.remote()
            return await asyncio.to_thread(added, metrics.text().decode(), told)

        lost = (ray.exceptions.RayError, serve.exceptions.RayServeException)
        front = Front(options, ask, lost, counted)
        Server(Guard(front, options, metrics), front, options, tell).run(sockets=[listening])


def _serve() -> Any:
    """Return the module ``ray.serve``.

    Raises:
        Error: it is not installed with what it needs.
    """
    try:
        from ray import serve
    except ImportError as error:
        raise Error(f"--on ray needs Ray Serve ({error}); get it with: pip install 'unmask[ray]'") from error
    return serve


def _deployed(ray: Any, serve: Any, options: ServeOptions, counts: Any, stack: contextlib.ExitStack) -> Any:
    """Start the replicas, have them end with the stack, and return what asks them."""
    threads = max(1, allowed_cores() // options.replicas) if options.address is None else 1
    _, needs = room(ray, options.replicas, threads, options.device in (None, "cuda"), "replicas")
    quiet = {"log_level": "ERROR", "enable_access_log": False}
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(proxy_location="Disabled", logging_config=quiet)
    name = f"unmask-{secrets.token_hex(4)}"
    kind = serve.deployment(_OnRay).options(
        name="unmask",
        num_replicas=options.replicas,
        ray_actor_options=needs,
        max_ongoing_requests=options.connections,  # the engine has the queue
        max_constructor_retry_count=_BEGINS,
        graceful_shutdown_timeout_s=options.drain,
        logging_config=quiet,
        **_LOOKS,
    )
    stack.callback(serve.delete, name)
    try:
        app = kind.bind(options, os.getcwd(), counts)
        handle = serve.run(app, name=name, route_prefix=None, logging_config=quiet)
    except RuntimeError as error:
        own = re.findall(r"unmask\.errors\.Error: (.+)", str(error))
        status = serve.status().applications.get(name)
        said = re.findall(r"unmask\.errors\.Error: (.+)", str(status))
        first = str(error).strip().partition("\n")[0]
        raise Error([*own, *said, f"a replica did not begin ({first}); its log in Ray says why."][0]) from error
    return handle.options(stream=True, method_name="answer")
