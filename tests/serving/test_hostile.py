"""Hostile input: the server answers what it can, closes what it must, never fails, and lives on."""

from __future__ import annotations

import gc
import json
import logging
import socket
import time

import httpx2
import psutil
import pytest

BODY = {"model": "causal", "prompt": "a", "max_tokens": 2}
DEEP = b'{"unmask": {"constraint": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}}"


def raw(live, data: bytes, wait: float = 10.0) -> bytes:
    """Send bytes; return what comes back until the server closes."""
    with live.connect() as connection:
        connection.settimeout(wait)
        found = b""
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                found += part
        except (TimeoutError, ConnectionError):
            pass
        return found


def post(data: bytes, *headers: str, kind: str = "application/json", host: str = "127.0.0.1") -> bytes:
    lines = [f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nConnection: close", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(data)}", "\r\n"]).encode("latin-1") + data


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def alive(live) -> None:
    answer = httpx2.post(f"{live.address}/v1/completions", json=BODY, timeout=30)
    assert answer.status_code == 200 and answer.json()["choices"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", {400}),
        (b"{", {400}),
        (b"[]", {422}),
        (b"null", {400, 422}),
        (b'"text"', {422}),
        (DEEP, {400}),
        (b"[" * 60000, {400}),
        (b'{"prompt": "a", "temperature": NaN}', {422, 400}),
        (b'{"prompt": "a", "temperature": Infinity}', {422, 400}),
        (b'{"prompt": "a", "temperature": 1e999}', {422, 400}),
        (b'{"prompt": "a", "seed": ' + b"9" * 30 + b"}", {422}),
        (b'{"prompt": "a", "seed": ' + b"9" * 9000 + b"}", {400, 422}),
        (b'{"prompt": "\xff\xfe"}', {400}),
        (b'{"prompt": "\\ud800"}', {422, 400}),
        (b'{"model": "causal", "prompt": "\\u0000", "max_tokens": 1}', {200}),
        (b'{"model": "../../etc/passwd", "prompt": "a"}', {404}),
        (b'{"model": "causal", "prompt": "a", "unmask": {"index": "/etc"}}', {404}),
        (b'{"model": "causal", "prompt": "a", "unmask": {"verifier": "/etc"}}', {404}),
        (b'{"model": "causal", "prompt": "a", "unmask": {"settings": {"self": 1, "__class__": 2}}}', {422}),
        (b'{"model": "masked", "prompt": "a", "unmask": {"steps": 9000000000000000000}}', {400}),
        (b'{"model": "masked", "unmask": {"canvas": [4, null, 99999]}}', {400}),
        (b'{"model": "masked", "unmask": {"canvas": []}}', {400}),
        (b'{"model": "masked", "prompt": "a ____", "unmask": {"infill": true, "lengths": "1-999999999"}}', {400}),
        (b'{"model": "masked", "prompt": "' + b"__ " * 15000 + b'", "unmask": {"infill": true, "lengths": 1}}', {400}),
        (b'{"model": "causal", "prompt": [], "max_tokens": 1}', {400}),
        (b'{"model": "causal", "prompt": [[]], "max_tokens": 1}', {200}),
        (b'{"model": "causal", "prompt": [-1], "max_tokens": 1}', {422}),
        (b'{"model": "causal", "prompt": ["a", 1], "max_tokens": 1}', {422}),
    ],
    ids=range(28),
)
def test_a_body_that_is_no_request_is_refused(data, expected, live):
    answer = raw(live, post(data))
    assert status(answer) in expected, answer[:400]
    if status(answer) != 200:
        head, _, body = answer.partition(b"\r\n\r\n")
        told = json.loads(body)["error"]
        assert set(told) == {"message", "type", "param", "code"} and b"Traceback" not in body
        assert b"content-security-policy: default-src 'self'" in head.lower()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (post(b"{}", kind="text/plain"), 415),
        (post(b"{}", kind="application/x-www-form-urlencoded"), 415),
        (post(b"{}", host="evil.example"), 403),
        (post(b"{}", host="127.0.0.1.evil.example:8000"), 403),
        (post(b"{}", "Host: other"), 400),
        (
            b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999999999999999\r\n\r\n",
            400,
        ),
        (
            b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
            + b"4000\r\n"
            + b"a" * 0x4000
            + b"\r\n"
            + b"f000\r\n"
            + b"a" * 0xF000
            + b"\r\n0\r\n\r\n",
            413,
        ),
        (post(b"x" * 70000), 413),
        (b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /v1/models/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (
            b"OPTIONS /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n"
            b"Connection: close\r\nAccess-Control-Request-Method: POST\r\n\r\n",
            405,
        ),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"a" * 700000, 400),
        (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\x00\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 400),
    ],
    ids=range(16),
)
def test_a_head_that_is_no_request_is_refused(request_, expected, live):
    answer = raw(live, request_)
    assert status(answer) == expected, answer[:300]
    assert b"access-control" not in answer.lower()


def test_no_header_is_taken_over_from_a_request_unless_it_is_plain(live):
    asked = {"X-Request-ID": "mine-1.2_3"}
    assert httpx2.get(f"{live.address}/health", headers=asked).headers["x-request-id"] == "mine-1.2_3"
    for odd in ("a b", "a" * 65, "\u00e9", "a;b"):
        given = {"X-Request-ID": odd.encode("latin-1")}
        assert httpx2.get(f"{live.address}/health", headers=given).headers["x-request-id"] != odd


def test_who_sends_slowly_is_let_go(live):
    began = time.monotonic()
    slow = [live.connect() for _ in range(20)]
    for number, connection in enumerate(slow):
        head = b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        body = b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        connection.sendall(head + (body if number % 2 else b"X-A: b\r\n"))
    alive(live)
    answers = []
    for connection in slow:
        connection.settimeout(20)
        found = b""
        while part := connection.recv(65536):
            found += part
        answers.append(status(found))
        connection.close()
    assert set(answers[1::2]) == {408} and set(answers[::2]) == {0}
    assert time.monotonic() - began < 60


def test_many_connections_and_clients_that_leave_do_no_harm(serving):
    with serving(connections=50) as live:
        found = []
        for number in range(300):
            connection = live.connect()
            if number % 3 == 0:
                connection.sendall(post(json.dumps({**BODY, "max_tokens": 100, "stream": number % 2 == 0}).encode()))
            if number % 2 == 0:
                connection.close()
            else:
                found.append(connection)
        for connection in found:
            connection.close()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if httpx2.get(f"{live.address}/ready").status_code == 200:
                    break
            except httpx2.TransportError:
                time.sleep(0.05)
        alive(live)


def test_a_reset_in_the_middle_of_a_body_does_no_harm(live):
    for _ in range(10):
        connection = live.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.sendall(post(json.dumps(BODY).encode())[:-5])
        connection.close()
    alive(live)


RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
OPENS = (
    b"",
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: appl",
    post(json.dumps(BODY).encode())[:-5],
    b"\x00\xff\r\n\r\n",
)
"""What is sent on a connection before it is dropped."""


@pytest.mark.slow
def test_ten_thousand_connections_that_are_dropped_leave_none_open_and_take_no_memory(serving, caplog):
    for name in ("unmask.serving", "uvicorn.error"):
        caplog.set_level(logging.ERROR, name)  # else the test itself keeps a record of each
    own = psutil.Process()
    with serving() as live:

        def opened(count: int) -> tuple[int, int]:
            for number in range(count):
                with live.connect() as connection:
                    if number % 2:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    connection.sendall(OPENS[number % len(OPENS)])
            until = time.monotonic() + 30
            while live.server.server_state.connections or live.server.server_state.tasks:
                assert time.monotonic() < until, "connections are kept that nobody has"
                time.sleep(0.01)
            alive(live)
            gc.collect()
            return own.num_fds(), own.memory_info().rss

        files, memory = opened(20_000)  # buffers grow with the connections that are open at once, and stay
        after = opened(10_000)
        assert after[0] <= files + 4
        assert after[1] <= memory + (8 << 20)
