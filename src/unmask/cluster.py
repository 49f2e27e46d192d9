"""Ray (an extra: ``pip install 'unmask[ray]'``): the one that is connected, else one to join or to start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unmask.errors import Error


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
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **alone)
        except (ConnectionError, ValueError, RuntimeError) as error:
            first = str(error).strip().split("\n")[0]
            raise Error(f"no Ray cluster at {address!r} ({first}); start one with: ray start --head") from error
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
