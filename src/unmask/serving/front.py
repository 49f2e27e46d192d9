"""What stands before replicas: it guards the port as any server does, and hands each request to one that is alive.

A request whose replica dies is told so: with a 503 where nothing was sent yet, with a last event in a stream. What
replicas are is not known here: ``ask`` takes a request and yields the messages of its answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from unmask.serving.options import ServeOptions
from unmask.serving.problems import Problem
from unmask.serving.streams import DONE, event

log = logging.getLogger("unmask.serving")

Ask = Callable[[dict[str, Any], bytes], AsyncGenerator[Message, None]]
"""Has a replica answer: what the request is and its body, to the messages of ASGI, the last one what was told."""
TOLD = "unmask.told"
"""Type of the messages before and after an answer: its route and what the log says of it."""
_BEYOND = 30.0
"""Seconds beyond a text's deadline in which a replica must have said something."""
_READY = 5.0
"""Seconds in which a replica must say that it is ready."""
_KEPT = ("method", "path", "raw_path", "query_string", "scheme", "http_version", "client", "server")


class Front:
    """Hands requests to replicas.

    Args:
        options: How the server is to run.
        ask: Has a replica answer.
        lost: Errors by which ``ask`` tells that the replica is gone.
        counts: Returns what is counted, as Prometheus reads it.
    """

    def __init__(
        self,
        options: ServeOptions,
        ask: Ask,
        lost: tuple[type[Exception], ...],
        counts: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._options, self._ask, self._lost, self._counts = options, ask, lost, counts
        self._over, self._answering = asyncio.Event(), set[asyncio.Task[Any]]()
        self.draining = False

    async def stop(self, wait: float) -> None:
        """Take nothing more; what is not answered within ``wait`` seconds is told so."""
        self.draining = True
        if self._answering:
            await asyncio.wait(self._answering, timeout=wait)
        self._over.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            return
        path, found = scope["path"], None
        if path == "/health":
            found = JSONResponse({"status": "ok"})
        elif path == "/metrics":
            found = Response(await self._counts(), media_type="text/plain; version=0.0.4")
        elif self.draining:
            found = _closed().response()
        if found is not None:
            scope["route"] = SimpleNamespace(path=path if path in ("/health", "/metrics") else "")
            await found(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            await self._answer(scope, receive, send)
        finally:
            self._answering.discard(task)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        head: Message | None = None
        whole = False
        try:
            body = (await receive()).get("body", b"")
            async with aclosing(self._messages(scope, body, receive)) as messages:
                async for message in messages:
                    if message["type"] == TOLD:
                        scope["route"] = SimpleNamespace(path=message["route"])
                        scope["state"]["told"] = message["told"]
                        continue
                    head = head or message
                    whole = _is_last(message)
                    await send(message)
            if not whole:
                raise _lost()
        except Problem as problem:
            if whole or problem.status == 499:
                return
            if head is None:
                await problem.response()(scope, receive, send)
            elif any(name == b"content-type" and b"event-stream" in kind for name, kind in head["headers"]):
                await send({"type": "http.response.body", "body": event(problem.body) + DONE, "more_body": False})
            else:
                raise  # the connection is closed: the client sees that its answer is not whole

    async def _messages(self, scope: Scope, body: bytes, receive: Receive) -> AsyncGenerator[Message, None]:
        """Yield the messages of an answer.

        Raises:
            Problem: the replica died or is silent, the client left, or the server stops.
        """
        wait = _READY if scope["path"] == "/ready" else self._options.deadline + _BEYOND
        gone, over = asyncio.ensure_future(receive()), asyncio.ensure_future(self._over.wait())
        coming: asyncio.Future[Message] | None = None
        answer, ended = self._ask(_plain(scope), body), False
        try:
            while True:
                coming = asyncio.ensure_future(anext(answer))  # type: ignore[arg-type]
                # a client that has its answer is gone, and what the replica tells of it is still to come
                news = {coming, over} if ended else {coming, gone, over}
                await asyncio.wait(news, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    message = coming.result()
                    ended = ended or _is_last(message)
                    yield message
                elif gone.done() and not ended:
                    raise Problem(499, "the client has left.")
                elif over.done():
                    raise _closed()
                else:
                    raise Problem(503, "no replica takes requests; ask again.", code="no_replica", retry=5.0)
        except StopAsyncIteration:
            return
        except self._lost as error:
            first = str(error).strip().partition("\n")[0]
            log.warning("a replica is lost", extra={"data": {"id": scope["state"].get("id"), "reason": first[:300]}})
            raise _lost() from error
        finally:
            left = [one for one in (coming, gone, over) if one is not None]
            for one in left:
                one.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await answer.aclose()


def _is_last(message: Message) -> bool:
    """Tell whether the body of an answer ends with a message."""
    return message["type"] == "http.response.body" and not message.get("more_body", False)


def _plain(scope: Scope) -> dict[str, Any]:
    """Return what a request is as plain values, which can travel."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
    headers.append((b"x-request-id", str(scope["state"]["id"]).encode()))
    return {name: scope.get(name) for name in _KEPT} | {"headers": headers}


def _lost() -> Problem:
    return Problem(503, "the replica that had this request ended; ask again.", code="replica_lost", retry=1.0)


def _closed() -> Problem:
    return Problem(503, "the server stops; ask again.", code="closed", retry=1.0)
