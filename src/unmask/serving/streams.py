"""Answers that are told as they come: server-sent events, with signs of life, given up when the client leaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from unmask.serving.problems import Problem

log = logging.getLogger("unmask.serving")

ALIVE = 15.0
"""Seconds of silence after which a stream says that it lives."""
DONE = format_sse_event(data_str="[DONE]")
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class Stream(EventSourceResponse):
    """A stream of events.

    Args:
        events: What is sent; a problem on the way becomes the last event but ``[DONE]``.
        give_up: Called when it is over, however it ended.
    """

    def __init__(self, events: AsyncIterator[bytes], give_up: Callable[[], None]) -> None:
        super().__init__(alive(told(events)), headers=HEADERS)
        self._give_up = give_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._give_up()


def event(data: Any, name: str | None = None) -> bytes:
    """Return one event: data as JSON, or a line as it is."""
    line = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, allow_nan=False)
    return format_sse_event(data_str=line, event=name)


async def told(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield events, then what went wrong, if something did, and the end."""
    try:
        async for one in events:
            yield one
    except Problem as problem:
        yield event(problem.body)
    except Exception:
        log.exception("a stream failed")
        yield event(Problem(500, "the server failed; its log has the reason.").body)
    yield DONE


async def alive(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield events, and a comment where there is none for long: whoever stands between keeps the line open."""
    async with aclosing(events):  # type: ignore[type-var]
        coming: asyncio.Future[bytes] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(events))  # type: ignore[arg-type]
                done, _ = await asyncio.wait({coming}, timeout=ALIVE)
                if not done:
                    yield KEEPALIVE_COMMENT
                    continue
                try:
                    one = coming.result()
                except StopAsyncIteration:
                    return
                finally:
                    coming = None
                yield one
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
