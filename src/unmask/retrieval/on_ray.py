"""Workers as actors of Ray, on this machine or on a cluster (an extra: ``pip install 'unmask[ray]'``).

To build an index they get texts and give vectors, so only the machine that started them needs the corpus and the index.
To search one they read its files, which must lie under the same path on all machines. An actor that dies is started
again, twice, and its call with it: it held nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from unmask.cluster import connected
from unmask.errors import Error
from unmask.retrieval.worker import attempt
from unmask.retrieval.workers import Answer, Item, in_order

_AGAIN = 2


class OnRay:
    """Actors with one CPU each.

    Args:
        ray: The module, connected.
        actors: Of :class:`_Actor`.

    Attributes:
        count: How many.
    """

    def __init__(self, ray: Any, actors: list[Any]) -> None:
        self.count = len(actors)
        self._ray, self._actors = ray, actors

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Yield the function of each item, in order."""
        return in_order(self.count, function, items, lambda n, call: self._actors[n].attempt.remote(call), self._get)

    def _get(self, reference: Any) -> tuple[bool, Any]:
        try:
            found: tuple[bool, Any] = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            first = str(error).strip().split("\n")[0]
            raise Error(f"a worker on Ray died {_AGAIN + 1} times ({first}); start again.") from error
        return found


class _Actor:
    """What runs on Ray."""

    def __init__(self, folder: str) -> None:
        if os.path.isdir(folder):
            os.chdir(folder)  # relative paths mean what they mean to whoever started it

    def attempt(self, call: bytes) -> tuple[bool, Any]:
        return attempt(call)


@contextmanager
def on_ray(address: str | None, count: int | None) -> Iterator[OnRay]:
    """Start actors on the Ray that is connected, else on one that is joined or started, and end them afterwards.

    Args:
        address: Of a cluster (``auto``: the one that this machine belongs to); ``None``: a Ray on this machine.
        count: How many; ``None``: as many as the cluster has CPUs.

    Raises:
        Error: Ray is not installed, there is no cluster, or it has fewer CPUs.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):
            ray = stack.enter_context(connected(address))
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if cpus < (count or 1):
            raise Error(f"workers is {count or 1}, and the Ray cluster has {cpus} CPUs; give as many at most.")
        kind = ray.remote(_Actor).options(num_cpus=1, max_restarts=_AGAIN, max_task_retries=_AGAIN)
        actors = [kind.remote(os.getcwd()) for _ in range(count or cpus)]
        try:
            yield OnRay(ray, actors)
        finally:
            for actor in actors:
                ray.kill(actor)
