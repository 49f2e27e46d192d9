"""What this machine offers to unmask, and how to mend what is missing."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from unmask.data.cache import cache_folder
from unmask.lines import counted
from unmask.result import Result

Status = Literal["ok", "warn", "fail"]

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "safetensors", "pydantic")
EXTRAS = {"tensorboard": "unmask[trackers]", "wandb": "wandb", "mlflow": "mlflow"}
GIB = 2**30
LITTLE = 2 * GIB
"""Below this much free memory or disk the quick start gets into trouble."""


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        status: ``ok``; ``warn`` if unmask works, but slower or with less; ``fail`` if some verb will not work.
        detail: What was found.
        fix: What to do about it; empty exactly when the status is ``ok``.
    """

    name: str
    status: Status
    detail: str
    fix: str = ""


@dataclass(frozen=True, repr=False)
class DoctorResult(Result):
    """All checks, in the order in which they were made."""

    checks: tuple[Check, ...]

    def _facts(self) -> tuple[str, ...]:
        failed = [check.name for check in self.checks if check.status == "fail"]
        return (counted(len(self.checks), "check"), f"failed: {', '.join(failed)}" if failed else "none failed")

    @property
    def healthy(self) -> bool:
        """Whether no check failed. Warnings do not count."""
        return all(check.status != "fail" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"healthy": self.healthy, **super().to_dict()}


def doctor(*, deep: bool = False) -> DoctorResult:
    """Look at versions, device, number formats, compiler, threads, memory, disk and extras.

    Args:
        deep: Also compile a tiny function and reach for the Hugging Face Hub, which can take a minute.
    """
    checks = [_python(), *(_package(name) for name in PACKAGES)]
    if importlib.util.find_spec("torch") is not None:
        checks += [_device(), _bf16(), _compile(run=deep), _threads()]
    checks += [_memory(), _disk("disk here", Path.cwd()), _disk("disk of the cache", cache_folder()), _cache()]
    checks += [_fonts()]
    checks += [_extra(module, package) for module, package in EXTRAS.items()]
    return DoctorResult(tuple([*checks, _hub()] if deep else checks))


def _python() -> Check:
    from unmask import __version__

    system = platform.platform(terse=True)
    return Check("python", "ok", f"{platform.python_version()} on {system}, unmask {__version__}")


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "fail", "not installed", f"pip install {name}")


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Check("device", "ok", f"cuda: {', '.join(names)}")
    if torch.backends.mps.is_available():
        return Check("device", "ok", "mps: Apple GPU")
    if shutil.which("nvidia-smi"):
        fix = "install a CUDA build of torch: https://pytorch.org/get-started/locally"
        return Check("device", "warn", f"cpu only: torch {torch.__version__} sees no GPU, but nvidia-smi is here", fix)
    return Check("device", "ok", "cpu")


def _bf16() -> Check:
    """Support says nothing about speed: what ``training.precision=auto`` means here was measured, or is now."""
    import torch

    from unmask.training.precision import MARGIN, PINNED, WIDTHS, automatic, faster

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return Check("bf16", "ok", f"training.precision=auto means {(found := automatic(0))}: {found.why}")
    ratios = {width: faster(width) for width in WIDTHS}
    told = ", ".join(f"{ratio:.2g}x at width {width}" for width, ratio in ratios.items())
    detail = f"a block trains at {told} the speed of float32"
    if pinned := os.environ.get(PINNED):
        return Check("bf16", "ok", f"{detail}; {PINNED}={pinned} decides")
    if any(ratio < MARGIN for ratio in ratios.values()):
        detail += f"; training.precision=auto means bf16 from {MARGIN}x up"
    return Check("bf16", "ok", detail)


def _compile(*, run: bool) -> Check:
    """torch.compile needs a C++ compiler for CPU code and triton for GPU code."""
    import torch

    do_without = "leave training.torch_compile off"
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "clang++", "cl")), None)
    if torch.cuda.is_available() and importlib.util.find_spec("triton") is None:
        return Check("torch.compile", "warn", "triton is missing", f"pip install triton, or {do_without}")
    if compiler is None or shutil.which(compiler) is None:
        return Check("torch.compile", "warn", "no C++ compiler", f"install g++, or {do_without}")
    if not run:
        return Check("torch.compile", "ok", f"{compiler} is here; --deep compiles something with it")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    value = torch.arange(8.0, device=device)

    def double_sine(x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x) * 2

    try:
        same = torch.allclose(torch.compile(double_sine)(value), double_sine(value), atol=1e-5)
    except Exception as failure:  # whatever the compiler says is the finding
        why = str(failure).strip().splitlines()[0] if str(failure).strip() else type(failure).__name__
        return Check("torch.compile", "warn", f"does not work: {why}", do_without)
    if not same:
        return Check("torch.compile", "fail", "gives wrong numbers", f"reinstall torch, or {do_without}")
    return Check("torch.compile", "ok", f"compiled a function for {device}")


def _threads() -> Check:
    """More threads are faster only where there are free cores for them, so a step is timed with one and with all."""
    import torch

    from unmask.threads import allowed_cores, free_cores

    cores, free, threads = allowed_cores(), free_cores(), torch.get_num_threads()
    detail = f"torch uses {threads}, this process may use {cores} cores, {free} free now"
    if threads > cores:
        return Check("threads", "warn", f"{detail}: they get in each other's way", f"export OMP_NUM_THREADS={free}")
    seconds = {count: _step_seconds(count) for count in sorted({1, threads, cores})}
    best = min(seconds, key=lambda count: seconds[count])
    told = ", ".join(f"{1 / seconds[count]:,.0f} with {count}" for count in seconds)
    detail = f"{detail}; small steps a second by threads: {told}"
    if seconds[threads] > _SLOWER * seconds[best]:
        return Check("threads", "warn", f"{detail}: {best} would be faster now", f"export OMP_NUM_THREADS={best}")
    return Check("threads", "ok", f"{detail}: {threads} is right")


_SLOWER = 1.2
"""A number of threads that is slower than the best one by this factor is worth a line."""


def _step_seconds(threads: int, seconds: float = 0.2) -> float:
    """Return the mean seconds of a small layer's step, forwards and back, over ``seconds`` of steps."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        weights = [torch.ones(128, 512, requires_grad=True), torch.ones(512, 128, requires_grad=True)]
        given = torch.ones(2048, 128)

        def step() -> None:
            out = torch.nn.functional.gelu(given @ weights[0]) @ weights[1]
            out.softmax(-1).square().sum().backward()  # type: ignore[no-untyped-call]

        step()  # the first one pays for set-up
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds or steps < 3:
            step()
            steps += 1
        return (time.perf_counter() - start) / steps
    finally:
        torch.set_num_threads(before)


def _memory() -> Check:
    memory = psutil.virtual_memory()
    detail = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    if memory.available < LITTLE:
        return Check("memory", "warn", detail, "close other programs, or lower the batch size and the context length")
    return Check("memory", "ok", detail)


def _disk(name: str, folder: Path) -> Check:
    folder = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIB:.1f} GiB free at {folder}"
    if free < LITTLE:
        return Check(name, "warn", detail, "free some space, or point UNMASK_CACHE and --output at a larger disk")
    return Check(name, "ok", detail)


def _cache() -> Check:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as failure:
        fix = "set UNMASK_CACHE to a folder that you may write to"
        return Check("cache", "fail", f"cannot write to {folder}: {failure.strerror}", fix)
    return Check("cache", "ok", f"{folder} can be written to")


def _fonts() -> Check:
    """Pages use the browser's fonts; pictures those that matplotlib finds."""
    from unmask.pictures.fonts import font_for

    if found := font_for("\u0915\u094d\u0937\u093f"):
        return Check("fonts", "ok", f"pictures show Devanagari in {found}")
    fix = "install one, such as fonts-noto-core (Debian, Ubuntu) or google-noto-sans-devanagari-fonts (Fedora)"
    return Check("fonts", "warn", "no font for Devanagari: labels in pictures show boxes; pages are not affected", fix)


def _extra(module: str, package: str) -> Check:
    if importlib.util.find_spec(module) is not None:
        return Check(module, "ok", "installed (optional)")
    return Check(module, "ok", f"not installed (optional; pip install '{package}')")


def _hub(seconds: float = 5.0) -> Check:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return Check("hub", "warn", "HF_HUB_OFFLINE=1 forbids it", "unset HF_HUB_OFFLINE to use names on the Hub")
    with contextlib.suppress(OSError):
        socket.create_connection(("huggingface.co", 443), timeout=seconds).close()
        return Check("hub", "ok", "huggingface.co answers")
    fix = "work with local files and folders, or connect to the network (through a proxy: set HTTPS_PROXY)"
    return Check("hub", "warn", "huggingface.co does not answer", fix)
