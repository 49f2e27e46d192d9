"""The most memory a piece of work took, in bytes, and how that was found out.

* On a CUDA device: the peak of PyTorch's allocator while the work runs.
* On a CPU: the peak resident set of the whole process, from the kernel's own high-water mark (Linux lets a process set
  it back: "5" written to /proc/self/clear_refs), else from a thread that looks every 2 ms and may miss a short peak.

What was there before is the baseline: ``above`` is what the work added. On a CPU, memory that earlier work has given
back to the allocator but not to the system would hide what this work takes, so it is handed back first (malloc_trim,
where the C library has it). Anything else that the process does meanwhile counts too.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import torch

Result = TypeVar("Result")

CUDA = "CUDA allocator's peak"
HIGH_WATER = "resident set, kernel's high-water mark"
SAMPLED = "resident set, sampled every 2 ms"

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PERIOD = 0.002


@dataclass(frozen=True)
class Memory:
    """Memory of a piece of work.

    Attributes:
        peak: Most bytes in use while it ran.
        baseline: Bytes in use before.
        above: ``peak - baseline``: what the work added; 0 if it added nothing.
        method: How the peak was found out.
    """

    peak: int
    baseline: int
    above: int
    method: str

    def to_dict(self) -> dict[str, int | str]:
        """Return the numbers by name."""
        return asdict(self)


def peak_memory(work: Callable[[], Result], device: torch.device | str = "cpu") -> tuple[Result, Memory]:
    """Run some work and return its result with the most memory it took.

    Args:
        work: Called once.
        device: Where its tensors are. Memory of other accelerators than CUDA is not seen, only the process's own.
    """
    gc.collect()
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        baseline = torch.cuda.memory_allocated(device)
        result = work()
        torch.cuda.synchronize(device)
        return result, _memory(torch.cuda.max_memory_allocated(device), baseline, CUDA)
    _hand_back()
    if _reset_high_water():
        baseline = _status("VmRSS")
        result = work()
        return result, _memory(_status("VmHWM"), baseline, HIGH_WATER)
    process = psutil.Process()
    baseline = process.memory_info().rss
    with _sampled(process) as seen:
        result = work()
    return result, _memory(seen[0], baseline, SAMPLED)


def _memory(peak: int, baseline: int, method: str) -> Memory:
    return Memory(peak, baseline, max(0, peak - baseline), method)


def _hand_back() -> None:
    """Give free memory of the C library's heaps back to the system (glibc only)."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_high_water() -> bool:
    """Set the kernel's high-water mark back to what is resident now; tell whether that can be done here."""
    try:
        _CLEAR.write_text("5")
        return _status("VmHWM") > 0
    except (OSError, KeyError):
        return False


def _status(key: str) -> int:
    """Return an entry of /proc/self/status in bytes."""
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise KeyError(key)


@contextlib.contextmanager
def _sampled(process: psutil.Process) -> Iterator[list[int]]:
    """Yield a list whose one number is the largest resident set seen, by a thread that looks again and again."""
    seen, stop = [process.memory_info().rss], threading.Event()

    def look() -> None:
        while not stop.wait(_PERIOD):
            seen[0] = max(seen[0], process.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        seen[0] = max(seen[0], process.memory_info().rss)
