"""What this machine is called, and how many threads compute."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


def device_name() -> str:
    """Return the name of the GPU, or of the processor where there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name()


def processor_name() -> str:
    """Return the name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def processor() -> tuple[str, ...]:
    """Return what tells one kind of processor from another: name, and where the system says it family, model, flags."""
    told = ("cpu family", "model", "flags", "Features")
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        lines = []
    return processor_name(), *(line.partition(":")[2].strip() for line in lines if line.partition("\t")[0] in told)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let torch compute with ``count`` threads, and put its own number back; ``None``: leave it."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
