"""A client of OpenAI's completions in streams of asyncio: it costs little, so the cores are the server's.

What became of a request is an answer, whatever it was: whole, an error that says so, not taken, or lost.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WHOLE, TOLD, REFUSED, LOST = "whole", "told", "refused", "lost"
"""How a request ends: answered; with an error that says so; not taken; with neither."""
BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes:
        client: Who asked.
        number: Which request.
        end: ``whole``, ``told``, ``refused`` or ``lost``.
        began: When it was sent, in seconds of ``perf_counter``.
        seconds: Until it had ended.
        first: Seconds until text, or a step of a canvas, was shown; ``None``: never.
        text: What was written.
        tokens: How many.
        size: Bytes of the answer's body.
        said: The error's message, or how the connection broke.
    """

    client: int
    number: int
    end: str
    began: float
    seconds: float
    first: float | None = None
    text: str = ""
    tokens: int = 0
    size: int = 0
    said: str = ""

    def within(self, began: float, ended: float) -> float:
        """Return the share of its time that lay between two moments."""
        inside = min(self.began + self.seconds, ended) - max(self.began, began)
        return max(0.0, inside) / self.seconds


class Connection:
    """One client's connection, kept open from request to request."""

    def __init__(self, address: str, client: int = 0, path: str = "/v1/completions") -> None:
        place = urlsplit(address)
        self.host, self.port, self.client = place.hostname or "", place.port or 80, client
        head = f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        self.head = head.encode()
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes, number: int = 0) -> Answer:
        """Send a request and read what comes; errors are answers, too."""
        began, used = time.perf_counter(), self.streams is not None
        pieces: list[bytes] = []
        first: float | None = None

        def so_far(end: str, **more: Any) -> Answer:
            seconds, size = time.perf_counter() - began, sum(map(len, pieces))
            return Answer(self.client, number, end, began, seconds, first, size=size, **more)

        try:
            self.streams = self.streams or await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            return so_far(REFUSED, said=str(error))
        reader, writer = self.streams
        head = b""
        try:
            writer.write(self.head + b"%d\r\n\r\n" % len(body) + body)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            streamed = b"text/event-stream" in head
            async for piece in _body(reader, head):
                pieces.append(piece)
                if streamed and first is None and any(map(_shows, _events(piece))):
                    first = time.perf_counter() - began
        except BROKEN as error:
            self.close()
            # a kept connection that closes before a byte of an answer did not take it: HTTP says to ask again
            return so_far(REFUSED if used and not head else LOST, said=f"{type(error).__name__}: {error}")
        if b"connection: close" in head:
            self.close()
        return so_far(**_told(int(head.split(b" ", 2)[1]), b"".join(pieces), streamed))

    def close(self) -> None:
        """Close it."""
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None


async def _body(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """Yield the parts of a body as they come."""
    if b"transfer-encoding: chunked" not in head:
        yield await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        return
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")


def _events(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream, or of a piece of it, that are JSON objects."""
    for line in data.split(b"\n"):
        if line.startswith(b"data: {"):
            try:
                yield json.loads(line[6:])
            except ValueError:
                continue  # a piece may end within an event


def _shows(event: dict[str, Any]) -> bool:
    """Tell whether an event shows text, or a step of a canvas."""
    text = any(choice.get("text") for choice in event.get("choices", ()))
    return text or any(row.get("step") for row in event.get("rows", ()))


def _told(status: int, body: bytes, streamed: bool) -> dict[str, Any]:
    """Return how a request ended, and what it was told."""
    if streamed:
        told = [event for event in _events(body) if "choices" in event or "error" in event]
        over = b"data: [DONE]" in body
    else:
        try:
            told = [json.loads(body)]
        except ValueError:
            told = []
        over = bool(told)
    for one in told:
        if status >= 400 or "error" in one:
            return {"end": TOLD, "said": f"{status}: {json.dumps(one)}"}
    choices = [choice for one in told for choice in one["choices"]]
    tokens = sum((one.get("usage") or {}).get("completion_tokens", 0) for one in told)
    text = "".join(choice.get("text") or "" for choice in choices)
    # a peer's stream has no [DONE]; a finish reason is as good
    whole = any(choice.get("finish_reason") for choice in choices)
    return {"end": WHOLE if whole and (over or streamed) else LOST, "text": text, "tokens": tokens}
