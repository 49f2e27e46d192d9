"""Who does the work of an index: this process, several on this machine, or actors on Ray (``on_ray``).

All call the same functions with the same arguments, and the answers come back in the order of the items. So what is
made of them is the same, bit for bit where hardware and threads are. Item i goes to worker i mod N: a worker that reads
a part of an index reads the same part again, which it has mapped and cached.

Workers keep nothing. Whoever sends the work writes the files, so the end of a worker, or Ctrl-C, leaves what the same
in one process leaves. One call of ``map`` at a time.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from unmask.errors import Error
from unmask.threads import allowed_cores

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Workers(Protocol):
    """Anything that calls a function with many arguments.

    Attributes:
        count: Calls at once.
    """

    count: int

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Yield the function of each item, in order. Both travel by pickle; items are taken as workers become free.

        Raises:
            Error: the function raised one, or its worker died.
        """
        ...


class Here:
    """This process."""

    count = 1

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Yield the function of each item, in order."""
        return map(function, items)


HERE = Here()


class Processes:
    """Processes of this machine, which need no ``if __name__ == "__main__"`` in the caller's script.

    Attributes:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        threads = str(max(1, allowed_cores() // count))
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
        self._processes = [_Process(environment) for _ in range(count)]

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Yield the function of each item, in order."""

        def send(worker: int, call: bytes) -> _Process:
            self._processes[worker].send(call)
            return self._processes[worker]

        return in_order(self.count, function, items, send, _Process.answer)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.end()


class _Process:
    """One of them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._waits = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "unmask.retrieval.worker"],  # -P: no module comes from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # the terminal's Ctrl-C reaches the caller alone, who ends them
        )

    def send(self, call: bytes) -> None:
        if self._waits:  # an answer that nobody asked for any more
            self.answer()
        try:
            pickle.dump(call, self._process.stdin, protocol=5)  # type: ignore[arg-type]
            self._process.stdin.flush()  # type: ignore[union-attr]
        except BrokenPipeError as error:
            raise self._dead() from error
        self._waits = True

    def answer(self) -> tuple[bool, Any]:
        try:
            found: tuple[bool, Any] = pickle.load(self._process.stdout)  # type: ignore[arg-type]
        except (EOFError, pickle.UnpicklingError) as error:
            raise self._dead() from error
        self._waits = False
        return found

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]

    def _dead(self) -> Error:
        status = self._process.wait()
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return Error(f"a worker {how} (out of memory?); start again, with fewer workers if it was.")


def in_order(
    count: int,
    function: Callable[[Item], Answer],
    items: Iterable[Item],
    send: Callable[[int, bytes], Any],
    receive: Callable[[Any], tuple[bool, Any]],
) -> Iterator[Answer]:
    """Yield the function of each item in order, with one call at a time for each of ``count`` workers.

    Args:
        count: N.
        function: Travels by pickle, as the items do.
        items: Taken as workers become free.
        send: Sends a call to a worker, and returns what ``receive`` takes.
        receive: Waits for the answer (done, answer).

    Raises:
        Error: an answer says so.
    """
    waiting: deque[Any] = deque()

    def first() -> Answer:
        done, answer = receive(waiting.popleft())
        if not done:
            raise Error(answer)
        found: Answer = answer
        return found

    for number, item in enumerate(items):
        ready = [first()] if len(waiting) == count else []
        waiting.append(send(number % count, pickle.dumps((function, item), protocol=5)))
        yield from ready
    while waiting:
        yield first()


@contextmanager
def at_work(count: int | Workers | None = None, on: str = "processes", address: str | None = None) -> Iterator[Workers]:
    """Start workers, and end them afterwards.

    Args:
        count: How many; ``None``: one, or as many as a Ray cluster has CPUs. One process is this one. Workers that are
            at work already are given back, and go on afterwards.
        on: ``processes`` of this machine, or ``ray``.
        address: Of a Ray cluster; ``None``: a Ray on this machine.

    Raises:
        Error: an impossible number or place, or no Ray.
    """
    if count is not None and not isinstance(count, int):
        yield count
        return
    if count is not None and count < 1:
        raise Error(f"workers is {count}; give at least 1.")
    if on == "ray":
        from unmask.retrieval.on_ray import on_ray

        with on_ray(address, count) as actors:
            yield actors
        return
    if on != "processes":
        raise Error(f"on is {on!r}; choose processes or ray.")
    if address is not None:
        raise Error("address is a Ray cluster's; set on to ray.")
    if count in (None, 1):
        yield HERE
        return
    processes = Processes(count or 1)
    try:
        yield processes
    finally:
        processes.close()
