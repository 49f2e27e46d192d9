"""Several processes that share one port: the parent binds it, and each worker accepts from the same socket.

The system hands each connection to one that waits. Workers are processes of their own: each has its weights, its engine
and its queue; what they count is added up through files. One that dies is replaced; all stop with their parent.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from unmask.errors import Error
from unmask.serving.metrics import SHARED

if TYPE_CHECKING:
    from unmask.serving.options import ServeOptions

_SPAWN = multiprocessing.get_context("spawn")
_GRACE = 15.0
"""Seconds beyond the drain after which a worker that does not stop is killed."""


def many(options: ServeOptions, listening: socket.socket, tell: Callable[[], None]) -> None:
    """Serve with several workers until told to stop.

    Args:
        options: How.
        listening: The socket that they share.
        tell: Called once all take requests.

    Raises:
        Error: a worker cannot load its runs.
    """
    counts = tempfile.mkdtemp(prefix="unmask-metrics-")
    os.environ[SHARED] = counts
    workers: list[BaseProcess] = []
    try:
        workers = _started(options, listening, options.workers, workers)
        tell()
        while True:
            wait([one.sentinel for one in workers])
            gone = [one for one in workers if not one.is_alive()]
            workers[:] = [one for one in workers if one.is_alive()]
            for one in gone:
                _forget(one)
            _started(options, listening, len(gone), workers)
    finally:
        for one in workers:
            one.terminate()
        for one in workers:
            one.join(options.drain + _GRACE)
            one.kill()
        shutil.rmtree(counts, ignore_errors=True)
        os.environ.pop(SHARED, None)


def _started(
    options: ServeOptions, listening: socket.socket, count: int, workers: list[BaseProcess]
) -> list[BaseProcess]:
    """Start workers, add them to those there are, and wait until they take requests."""
    ends = []
    for _ in range(count):
        mine, theirs = _SPAWN.Pipe(duplex=False)
        worker = _SPAWN.Process(target=_work, args=(options, listening, theirs), daemon=True)
        worker.start()
        theirs.close()
        workers.append(worker)
        ends.append(mine)
    for end in ends:
        try:
            wrong = end.recv()
        except EOFError:
            wrong = "a worker ended before it took requests; its last lines on stderr say why."
        if wrong:
            raise Error(wrong)
    return workers


def _work(options: ServeOptions, listening: socket.socket, told: Connection) -> None:
    """Be a worker."""
    from unmask.serving.server import work

    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()
    try:
        work(options, listening, lambda: told.send(""))
    except Error as error:
        told.send(str(error))


def _forget(worker: BaseProcess) -> None:
    """Take what a dead worker has open out of the counts."""
    from prometheus_client.multiprocess import mark_process_dead

    if worker.pid is not None:
        mark_process_dead(worker.pid)
