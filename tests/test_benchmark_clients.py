"""The clients of the server's benchmark tell truly what became of a request, whatever a server does to it."""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
JSON = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
CHOICE = {"index": 0, "text": " a", "finish_reason": None}
ENDED = {**CHOICE, "text": " b", "finish_reason": "length"}


def chunk(*events: object, name: str = "") -> bytes:
    """Return events as one chunk of a stream."""
    body = "".join(f"{name}data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events).encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


def whole(status: int, content: object) -> bytes:
    """Return an answer of one piece."""
    body = json.dumps(content).encode()
    return JSON % (status, len(body), body)


USAGE = {"choices": [], "usage": {"completion_tokens": 2}}
CASES = {
    "answer": (whole(200, {"choices": [ENDED], "usage": {"completion_tokens": 1}}), "whole", " b", 1),
    "stream": (
        STREAM + chunk({"choices": [CHOICE]}) + chunk({"choices": [ENDED]}, USAGE, "[DONE]") + END,
        "whole",
        " a b",
        2,
    ),
    "canvas": (
        STREAM
        + chunk({"rows": [{"request": 0, "step": 1, "set": [[1, 5, 0.5]]}]}, name="event: canvas\n")
        + chunk({"choices": [ENDED], "usage": {"completion_tokens": 2}}, "[DONE]")
        + END,
        "whole",
        " b",
        2,
    ),
    "refusal": (whole(503, {"error": {"message": "it stops"}}), "told", "", 0),
    "error in a stream": (
        STREAM + chunk({"choices": [CHOICE]}, {"error": {"message": "it stops"}}, "[DONE]") + END,
        "told",
        "",
        0,
    ),
    "stream that breaks off": (STREAM + chunk({"choices": [CHOICE]}), "lost", "", 0),
    "stream without an end of its text": (STREAM + chunk({"choices": [CHOICE]}, "[DONE]") + END, "lost", " a", 0),
    "half an answer": (whole(200, {"choices": [ENDED]})[:-9], "lost", "", 0),
    "nothing": (b"", "lost", "", 0),
}


@pytest.fixture(scope="module")
def clients():
    """The modules of the clients."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield importlib.import_module("benchmarks.lib.http_client"), importlib.import_module("benchmarks.lib.http_load")


def asked(answers: list[bytes], ask: Callable[[str], Awaitable[object]]) -> object:
    """Serve each answer to a request, one after another; a connection is closed where there is none left."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while left:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.rpartition(b"Content-Length: ")[2]))
            answer = left.pop(0)
            writer.write(answer)
            if not answer.endswith((END, b"}")):
                break
        writer.close()

    async def both() -> object:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    return asyncio.run(both())


@pytest.mark.parametrize("case", CASES)
def test_a_request_is_whole_told_or_lost(case, clients):
    sent, end, text, tokens = CASES[case]
    answer = asked([sent], lambda address: clients[0].Connection(address).ask(b"{}"))
    assert (answer.end, answer.text, answer.tokens) == (end, text, tokens), answer
    assert (answer.first is not None) == (sent.startswith(STREAM))


def test_a_kept_connection_that_closes_before_an_answer_was_refused(clients):
    async def twice(address: str) -> list[str]:
        connection = clients[0].Connection(address)
        found = [await connection.ask(b"{}"), await connection.ask(b"{}")]
        return [one.end for one in found]

    assert asked([CASES["answer"][0]], twice) == ["whole", "refused"]


def test_nobody_who_listens_is_a_refusal(clients):
    answer = asyncio.run(clients[0].Connection("http://127.0.0.1:1").ask(b"{}"))
    assert answer.end == "refused" and answer.said


def test_an_answer_counts_by_its_time_within_the_load(clients):
    kind, load = clients[0].Answer, clients[1].Load
    answers = [kind(0, 0, "whole", 0.0, 4.0, tokens=8), kind(1, 1, "whole", 2.0, 4.0, tokens=8)]
    answers.append(kind(1, 2, "lost", 0.0, 1.0, tokens=8))
    found = load(2, 0.0, 4.0, answers)
    assert found.rate == pytest.approx((8 + 4) / 4) and found.unfairness == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_benchmark_that_is_stopped_ends_its_servers(number, status):
    """A server that outlives it would disturb whatever is measured next."""
    command = [sys.executable, "-m", "benchmarks.speed", "--only", "serve", "--quick", "--seconds", "600"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            servers: list[psutil.Process] = []
            for line in process.stderr or ():
                if "clients, text" in line:  # its server answers, and clients ask
                    servers = psutil.Process(process.pid).children(recursive=True)
                    break
            assert any("serve" in one.cmdline() for one in servers), servers
            process.send_signal(number)
            assert process.wait(60) == status
            assert not psutil.wait_procs(servers, timeout=0)[1]
        finally:
            process.kill()
