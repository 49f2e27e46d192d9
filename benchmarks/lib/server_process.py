"""A server as a process of its own: how long it takes to its first answer, what memory it holds, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

import unmask
from benchmarks.lib.http_client import WHOLE, Answer
from benchmarks.lib.http_load import alone
from unmask.errors import Error

START = 300.0
"""Seconds after which a server that has not answered is given up."""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class ServerProcess:
    """A server that answers.

    Args:
        name: How tables call it.
        arguments: Of ``python``; ``PORT`` stands for the port.
        first: The body of the request that it is asked until it answers.
        path: Folders of modules before all others.

    Attributes:
        seconds: From its start to the first whole answer.
        memory: Bytes that it held then.

    Raises:
        Error: it ended, or did not answer, with its last words.
    """

    def __init__(self, name: str, arguments: Sequence[str], first: bytes, path: Sequence[Path] = ()) -> None:
        self.name, port, threads = name, free_port(), str(torch.get_num_threads())
        self.address = f"http://127.0.0.1:{port}"
        own = Path(unmask.__file__).parents[1]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, [*path, own])),
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads),
            "HF_HUB_OFFLINE": "1",
        }
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        began = time.perf_counter()
        command = [sys.executable, *(one.replace("PORT", str(port)) for one in arguments)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.STDOUT
        )
        try:
            self.first = self._answered(first, began + START)
        except BaseException:
            self.end()
            raise
        self.seconds, self.memory = time.perf_counter() - began, self.resident()

    def _answered(self, body: bytes, until: float) -> Answer:
        while time.perf_counter() < until:
            (answer,) = alone(self.address, [body])
            if answer.end == WHOLE:
                return answer
            if self.process.poll() is not None:
                raise Error(f"{self.name} ended with status {self.process.returncode} ({self.last_words()}).")
            time.sleep(0.05)
        raise Error(f"{self.name} did not answer in {START:g} seconds ({answer.said or self.last_words()}).")

    def last_words(self) -> str:
        """Return the last line that it said."""
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return lines[-1] if lines else "it said nothing"

    def resident(self) -> int:
        """Return the bytes that it and its children hold."""
        own = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (own, *own.children(recursive=True)))

    def busy(self) -> float:
        """Return the processor seconds that it has taken."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def terminate(self) -> None:
        """Tell it to stop (SIGTERM)."""
        self.process.send_signal(signal.SIGTERM)

    def end(self, patience: float = 10.0) -> int | None:
        """Stop it; return its status, or ``None`` if it had to be killed."""
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        except BaseException:  # told to stop meanwhile: nobody would wait for it any more
            self.process.kill()
            raise
        finally:
            self._said.close()
