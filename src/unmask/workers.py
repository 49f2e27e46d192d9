"""Who does the work of an index or a sweep: this process, several of this machine, or actors on Ray (an extra).

All call the same functions with the same arguments, so what is made of the answers is the same, bit for bit where
hardware and threads are. A worker may be ended at any time: it keeps nothing that must be saved, and whoever sends the
work writes the files. So its end, or Ctrl-C, leaves what the same in one process leaves.

Not loky (3.6, tried): its workers outlive a parent that was killed, one that dies takes the calls of the others with
it, Ctrl-C reaches all, and none can be chosen for a call, though one that reads a part of an index has it mapped.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from unmask.errors import Error
from unmask.threads import allowed_cores

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Call = tuple[int, Future[tuple[bool, Any]]]
"""The number of a worker, and what becomes (done, answer) or (not done, one line)."""


class Workers:
    """Anything that calls a function with many arguments; both travel by pickle.

    Attributes:
        count: Calls at once.
    """

    count: int

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Yield the function of each item, in order. Item i goes to worker i mod N, and is taken when that is free.

        Raises:
            Error: the function raised one, or its worker died.
        """
        calls: deque[Call] = deque()
        for number, item in enumerate(items):
            ready = [self._answer(*calls.popleft())] if len(calls) == self.count else []
            calls.append((number % self.count, self._send(number % self.count, _packed(function, item))))
            yield from ready
        while calls:
            yield self._answer(*calls.popleft())

    def each(
        self, function: Callable[[Item], Answer], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Answer | None, Error | None]]:
        """Yield each item with its answer, or with the error, as they come. An item is taken when a worker is free."""
        left, free = iter(items), deque(range(self.count))
        calls: dict[Future[tuple[bool, Any]], tuple[int, Item]] = {}
        while True:
            while free and (item := next(left, None)) is not None:
                worker = free.popleft()
                calls[self._send(worker, _packed(function, item))] = (worker, item)
            if not calls:
                return
            for future in wait(calls, return_when=FIRST_COMPLETED).done:
                worker, item = calls.pop(future)
                free.append(worker)
                answer, failed = None, None
                try:
                    answer = self._answer(worker, future)
                except Error as error:
                    failed = error
                yield item, answer, failed

    def _send(self, worker: int, call: bytes) -> Future[tuple[bool, Any]]:
        raise NotImplementedError

    def _answer(self, worker: int, future: Future[tuple[bool, Any]]) -> Any:
        done, answer = future.result()
        if not done:
            raise Error(answer)
        return answer


def _packed(function: Callable[[Item], Any], item: Item) -> bytes:
    return pickle.dumps((function, item), protocol=5)


class Here(Workers):
    """This process."""

    count = 1

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Yield the function of each item, in order."""
        return map(function, items)

    def each(
        self, function: Callable[[Item], Answer], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Answer | None, Error | None]]:
        """Yield each item with its answer, in order; errors are raised."""
        return ((item, function(item), None) for item in items)


HERE = Here()


class Processes(Workers):
    """Processes of this machine, which need no ``if __name__ == "__main__"`` in the caller's script.

    Attributes:
        count: How many.
    """

    def __init__(self, count: int, threads: int | None = None) -> None:
        self.count = count
        many = str(threads or max(1, allowed_cores() // count))
        self._environment = {**os.environ, "OMP_NUM_THREADS": many, "RAYON_NUM_THREADS": many}
        self._processes = [self._start() for _ in range(count)]
        self._hands = [ThreadPoolExecutor(1) for _ in range(count)]  # each waits for one process

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "unmask.workers"],  # -P: no module comes from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,  # the terminal's Ctrl-C reaches the caller alone, who ends them
        )

    def _send(self, worker: int, call: bytes) -> Future[tuple[bool, Any]]:
        if self._processes[worker].poll() is not None:
            self._processes[worker] = self._start()
        return self._hands[worker].submit(_call, self._processes[worker], call)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
        for process, hand in zip(self._processes, self._hands, strict=True):
            process.wait()
            hand.shutdown(cancel_futures=True)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]


def _call(process: subprocess.Popen[bytes], call: bytes) -> tuple[bool, Any]:
    try:
        pickle.dump(call, process.stdin, protocol=5)  # type: ignore[arg-type]
        process.stdin.flush()  # type: ignore[union-attr]
        found: tuple[bool, Any] = pickle.load(process.stdout)  # type: ignore[arg-type]
    except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
        status = process.wait()
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        raise Error(f"a worker {how} (out of memory?); start again, with fewer workers if it was.") from error
    return found


def attempt(call: bytes) -> tuple[bool, Any]:
    """Call a pickled function with its pickled argument, and return (done, answer), or (not done, one line)."""
    try:
        function, item = pickle.loads(call)
        return True, function(item)
    except Error as error:
        return False, str(error)
    except Exception as error:
        traceback.print_exc()
        return False, f"a worker failed ({type(error).__name__}: {error}); see its traceback."


def serve() -> None:
    """Answer calls until the input ends, which is so as well when the process that started this one is killed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    while True:
        try:
            call = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            pickle.dump(attempt(call), answers, protocol=5)
            answers.flush()
        except BrokenPipeError:
            os._exit(1)  # nobody waits for it any more


@contextmanager
def at_work(
    count: int | Workers | None = None,
    on: str = "processes",
    address: str | None = None,
    *,
    threads: int | None = None,
    gpus: bool = False,
) -> Iterator[Workers]:
    """Start workers, and end them afterwards.

    Args:
        count: How many; ``None``: one, or as many as a Ray cluster has room for. One process is this one. Workers that
            are at work already are given back, and go on afterwards.
        on: ``processes`` of this machine, or ``ray``.
        address: Of a Ray cluster (``auto``: the one that this machine belongs to); ``None``: a Ray on this machine.
        threads: Of each; ``None``: the cores shared out, on Ray one.
        gpus: Each takes a GPU of a Ray cluster that has any.

    Raises:
        Error: an impossible number or place, no Ray, no cluster, or one with too few CPUs or GPUs.
    """
    if isinstance(count, Workers):
        yield count
        return
    if count is not None and count < 1:
        raise Error(f"workers is {count}; give at least 1.")
    if on not in ("processes", "ray"):
        raise Error(f"on is {on!r}; choose processes or ray.")
    if on == "ray":
        from unmask.cluster import actors

        with actors(address, count, threads or 1, gpus) as some:
            yield some
        return
    if address is not None:
        raise Error("address is a Ray cluster's; set on to ray.")
    if count in (None, 1):
        yield HERE
        return
    processes = Processes(count or 1, threads)
    try:
        yield processes
    finally:
        processes.close()


if __name__ == "__main__":
    serve()
