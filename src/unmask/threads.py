"""How many threads this process should compute with, and how its idle ones wait.

A network step waits for its slowest thread. Where other programs hold the cores, more threads than free cores make each
step wait for the scheduler: on two busy cores two threads that spin were several times slower
(docs/studies/threads.md). So

    threads = free cores at the start = idle cores that this process may use + what it uses itself,

by affinity and by the quota of its control group, at least 1. What is idle is measured since ``import unmask``, not
read from the load average, which remembers the last minute: the command that has just ended would count as load.
A thread with nothing to do sleeps (OMP_WAIT_POLICY=passive) where by default it would spin on a core that others want.

Only the standard library: this is asked before torch is loaded, which reads the environment once.
"""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_LOOK, _STALE = 0.1, 10.0
"""Seconds over which idleness is measured at least; and after which what was seen at import says nothing of now."""


@dataclass(frozen=True)
class Seen:
    """A look at the clocks.

    Attributes:
        at: Seconds on the clock.
        own: Processor seconds of this process.
        cores: Idle ticks and all ticks of each core that this process may use; empty where the system does not say.
    """

    at: float = field(default_factory=time.monotonic)
    own: float = field(default_factory=time.process_time)
    cores: tuple[tuple[int, int], ...] = field(default_factory=lambda: _ticks(_PROC / "stat"))


def allowed_cores() -> int:
    """Return the cores that this process may use, by affinity and by its control group's quota, at least 1."""
    cores = len(_affinity())
    quota = _quota(_PROC / "self" / "cgroup", _GROUPS)
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


def free_cores() -> int:
    """Return the cores that this process may use and that nobody else uses now, at least 1.

    Where the system does not tell what its cores do (it is not Linux), the load average stands in.
    """
    before = _BEGAN if time.monotonic() - _BEGAN.at < _STALE else Seen()
    time.sleep(max(0.0, _LOOK - (time.monotonic() - before.at)))
    return max(1, min(allowed_cores(), round(_free(before, Seen()))))


def settle() -> None:
    """Choose the threads of this process, unless the user did (OMP_NUM_THREADS), and let idle ones sleep.

    To be called before torch is loaded. A program that has loaded it before gets the threads alone, and only where it
    left them as torch found them.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("KMP_BLOCKTIME", "0")  # the same for the OpenMP of Intel and LLVM
    if "OMP_NUM_THREADS" in os.environ:
        return
    count = free_cores()
    os.environ["OMP_NUM_THREADS"] = str(count)
    _CHOSEN.append(count)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() in (len(_affinity()), os.cpu_count()):
        torch.set_num_threads(count)


def chosen() -> int | None:
    """Return the number of threads that :func:`settle` chose; ``None`` where the user did."""
    return _CHOSEN[0] if _CHOSEN else None


def _free(before: Seen, now: Seen) -> float:
    if not now.cores or len(before.cores) != len(now.cores):
        average = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        return len(_affinity()) - average
    pairs = zip(before.cores, now.cores, strict=True)
    idle = sum((b[0] - a[0]) / (b[1] - a[1]) for a, b in pairs if b[1] > a[1])
    return idle + (now.own - before.own) / (now.at - before.at)


def _affinity() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _ticks(stat: Path) -> tuple[tuple[int, int], ...]:
    """Return (idle, all) ticks of the cores that this process may use, from /proc/stat."""
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        name, *words = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in _affinity():
            ticks = [int(word) for word in words[:8]]  # user nice system idle iowait irq softirq steal
            found.append((ticks[3] + ticks[4], sum(ticks)))
    return tuple(found)


def _quota(groups: Path, root: Path) -> float | None:
    """Return the cores that the control group (version 2, else 1) grants, or one above it does; ``None``: all."""
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:
        return None
    found = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root if not controllers else root / "cpu"
        folder = top / path.lstrip("/")
        for place in (folder, *folder.parents):
            found.append(_granted(place))
            if place == top:
                break
    return min((quota for quota in found if quota is not None), default=None)


def _granted(group: Path) -> float | None:
    for read in (_version_2, _version_1):
        try:
            quota, period = read(group)
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError):  # no such file; "max"
            continue
    return None


def _version_2(group: Path) -> tuple[str, str]:
    quota, period = (group / "cpu.max").read_text().split()
    return quota, period


def _version_1(group: Path) -> tuple[str, str]:
    return (group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text()


_CHOSEN: list[int] = []
_BEGAN = Seen()
