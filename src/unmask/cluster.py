"""Workers as actors of Ray (an extra: ``pip install 'unmask[ray]'``), on this machine or on a cluster.

Ray is the one that is connected, else one to join or to start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from unmask.errors import Error
from unmask.workers import Workers, attempt

_AGAIN = 2


def import_ray() -> Any:
    """Return the module ``ray``.

    Raises:
        Error: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise Error("--on ray needs Ray, which is not installed; get it with: pip install 'unmask[ray]'") from error
    return ray


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Use the Ray that is connected, else connect to one or start one on this machine, and leave that afterwards.

    Args:
        address: Of a cluster (``auto``: the one that this machine belongs to); ``None``: a Ray on this machine.

    Yields:
        The module ``ray``.

    Raises:
        Error: Ray is not installed, or there is no cluster.
    """
    ray = import_ray()
    started = not ray.is_initialized()
    if started:
        alone = {"include_dashboard": False} if address is None else {}
        ours = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **alone)
            if threading.current_thread() is threading.main_thread() and ours is not None:
                signal.signal(signal.SIGTERM, ours)  # Ray takes it for itself, and ends with another status
        except Exception as error:  # Ray has no kind of its own for one that does not come up
            first = str(error).strip().split("\n")[0]
            if address is None:
                raise Error(f"Ray does not start on this machine ({first}); its log is in /tmp/ray.") from error
            raise Error(f"no Ray cluster at {address!r} ({first}); start one with: ray start --head") from error
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()


class OnRay(Workers):
    """Actors, on this machine or on a cluster. One that dies is started again, twice, and its call with it.

    To build an index they get texts and give vectors, so only the machine that started them needs the corpus and the
    index. What they read, and the rows of a sweep, must lie under the same path on all machines.

    Args:
        ray: The module, connected.
        count: How many.
        needs: What each takes: ``num_cpus``, ``num_gpus``.
    """

    def __init__(self, ray: Any, count: int, needs: dict[str, float]) -> None:
        self.count, self._ray = count, ray
        self._kind = ray.remote(_Actor).options(max_restarts=_AGAIN, max_task_retries=_AGAIN, **needs)
        self._actors = [self._kind.remote(os.getcwd()) for _ in range(count)]

    def _send(self, worker: int, call: bytes) -> Future[tuple[bool, Any]]:
        future: Future[tuple[bool, Any]] = self._actors[worker].attempt.remote(call).future()
        return future

    def _answer(self, worker: int, future: Future[tuple[bool, Any]]) -> Any:
        try:
            return super()._answer(worker, future)
        except self._ray.exceptions.RayError as error:
            self._ray.kill(self._actors[worker])
            self._actors[worker] = self._kind.remote(os.getcwd())
            first = str(error).strip().split("\n")[0]
            raise Error(f"a worker on Ray died {_AGAIN + 1} times ({first}); start again.") from error

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self._ray.kill(actor)


class _Actor:
    def __init__(self, folder: str) -> None:
        if os.path.isdir(folder):
            os.chdir(folder)  # relative paths mean what they mean to whoever started it

    def attempt(self, call: bytes) -> tuple[bool, Any]:
        return attempt(call)


@contextmanager
def actors(address: str | None, count: int | None, threads: int = 1, gpus: bool = False) -> Iterator[OnRay]:
    """Start actors, and end them afterwards.

    Args:
        address: Of a cluster, see :func:`connected`.
        count: How many; ``None``: as many as the cluster has room for.
        threads: CPUs of each.
        gpus: Each takes a GPU where the cluster has any.

    Raises:
        Error: Ray is not installed, there is no cluster, or it has fewer CPUs or GPUs.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):
            ray = stack.enter_context(connected(address))
        found = OnRay(ray, *room(ray, count, threads, gpus))
        stack.callback(found.close)
        yield found


def room(ray: Any, count: int | None, threads: int, gpus: bool, name: str = "workers") -> tuple[int, dict[str, float]]:
    """Return how many workers the cluster gets, and what each needs.

    Args:
        ray: The module, connected.
        count: How many are asked for; ``None``: as many as fit.
        threads: CPUs of each.
        gpus: Each takes a GPU where the cluster has any.
        name: What asks for them, for the message.

    Raises:
        Error: it has fewer CPUs or GPUs.
    """
    there = ray.cluster_resources()
    fit, of = int(there.get("CPU", 0)) // threads, "CPUs" if threads == 1 else f"times {threads} CPUs"
    needs = {"num_cpus": float(threads)}
    if gpus and there.get("GPU"):
        needs["num_gpus"] = 1.0
        if there["GPU"] < fit:
            fit, of = int(there["GPU"]), "GPUs"
    if fit < (count or 1):
        raise Error(f"{name} is {count or 1}, and the Ray cluster has {fit} {of}; give as many at most.")
    return count or fit, needs
