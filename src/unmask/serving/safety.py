"""What stands between the network and the routes: who may ask, how much, how slowly, and what every answer says.

Sizes and times are bounded before anything is parsed. Keys are compared in constant time. A name in the Host header
that is not this server's is refused, so that no web page can reach it through a name of its own (DNS rebinding); no
CORS headers are sent, and bodies are ``application/json`` alone, so that none can ask it across origins.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unmask.serving.metrics import Metrics
from unmask.serving.options import LOCAL, ServeOptions
from unmask.serving.problems import Problem

log = logging.getLogger("unmask.serving")

_CSP = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What every answer says to browsers."""
_LEFT = 60.0
"""Seconds that a client may leave an answer unread."""
_BODIES = 64
"""Bodies of the largest size that are held at once."""
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_OPEN = ("/health", "/ready", "/openapi.json")
"""Paths for which no key is asked, beside those of the page."""


class Guard:
    """The outermost part of the app.

    Args:
        app: What it guards.
        options: Limits, keys and names.
        metrics: Counts requests.
    """

    def __init__(self, app: ASGIApp, options: ServeOptions, metrics: Metrics) -> None:
        self.app, self.options, self.metrics = app, options, metrics
        self._keys = [_digest(key) for key in options.keys]
        self._hosts = {name.lower() for name in (*LOCAL, options.host, *options.hosts)}
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, began, status, size = Headers(scope=scope), time.monotonic(), 0, 0
        state = scope.setdefault("state", {})
        asked = headers.get("x-request-id", "")
        state["id"] = asked if _ID.fullmatch(asked) else secrets.token_hex(8)

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    own[name] = value
                own["X-Request-ID"] = state["id"]
                own.setdefault("Cache-Control", "no-store")
            await asyncio.wait_for(send(message), _LEFT)

        try:
            try:
                self._check(scope, headers)
                body = await self._body(scope, headers, receive)
            except Problem as problem:
                await problem.response({"Connection": "close"})(scope, receive, sent)
                return
            size = len(body)
            self._held += size
            try:
                await self.app(scope, _replay(body, receive), sent)
            finally:
                self._held -= size
        except Exception as error:
            if isinstance(error, TimeoutError) and status:  # the connection is closed for it
                log.warning("left unread", extra={"data": {"id": state["id"]}})
                return
            log.exception("a bug", extra={"data": {"id": state["id"]}})
            if status:
                raise
            await Problem(500, "the server failed; its log has the reason.").response()(scope, receive, sent)
        finally:
            seconds = time.monotonic() - began
            self.metrics.answered(route_of(scope), status, seconds)
            data = {
                "id": state["id"],
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "seconds": round(seconds, 4),
                "client": state.get("key") or (scope["client"] or [""])[0],
                **state.get("told", {}),
            }
            if self.options.log_prompts and size:
                data["request"] = body[: 1 << 16].decode("utf-8", "replace")
            log.info("request", extra={"data": data})

    def _check(self, scope: Scope, headers: Headers) -> None:
        self._check_host(headers.getlist("host"))
        path = scope["path"]
        if self._keys and (path.startswith("/v1") or path == "/metrics"):
            scope["state"]["key"] = self._key(headers.get("authorization", ""))

    def _check_host(self, given: Sequence[str]) -> None:
        name = given[0].strip().lower() if len(given) == 1 else ""
        host = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if host in self._hosts or _is_address(host):
            return
        raise Problem(
            403,
            f"this server is not called {host[:80]!r}; ask it by its address, or start it with --allow-host NAME.",
            code="host",
        )

    def _key(self, header: str) -> str:
        kind, _, key = header.partition(" ")
        given, found = _digest(key.strip()), ""
        for own in self._keys:  # all of them, however early one fits
            if hmac.compare_digest(own, given):
                found = own.hex()[:8]
        if kind.lower() != "bearer" or not found:
            raise Problem(401, "give an API key of this server: Authorization: Bearer KEY.", code="invalid_api_key")
        return found

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        """Return a request's body, read whole within its limits.

        Raises:
            Problem: it is too large, too slow, or no JSON.
        """
        most = self.options.body
        told = headers.get("content-length", "0")
        if told.isdecimal() and int(told[:20]) > most:
            raise _too_large(most)
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Problem(415, "send the body as application/json (the Content-Type header).", code="content_type")
            if self._held > _BODIES * most:
                raise Problem(503, "too many requests are being read; ask again.", code="busy", retry=1.0)
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self.options.patience):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(499, "the client has left.")
                    chunks.append(message.get("body", b""))
                    size, more = size + len(chunks[-1]), message.get("more_body", False)
                    if size > most:
                        raise _too_large(most)
        except TimeoutError:
            raise Problem(408, f"the request did not come whole within {self.options.patience:g} s.") from None
        return b"".join(chunks)


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body is larger than {most} bytes; send less.", code="too_large")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def route_of(scope: Scope) -> str:
    """Return the path of the route that was taken: a bounded number of names for whatever was asked."""
    route = scope.get("route")
    return getattr(route, "path", "") or "other"


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again
