"""What every test gets: a private cache, no network, one thread, and ways to run the command line."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

# Set before anything imports torch or a Hugging Face library. Workers of pytest-xdist inherit these: one cache for all.
_OWN_CACHE = "UNMASK_TEST_CACHE" not in os.environ
if _OWN_CACHE:
    os.environ["UNMASK_TEST_CACHE"] = tempfile.mkdtemp(prefix="unmask-tests-")
_CACHE = Path(os.environ["UNMASK_TEST_CACHE"])
os.environ |= {
    "UNMASK_CACHE": str(_CACHE / "unmask"),
    "HF_HOME": str(_CACHE / "huggingface"),
    "MPLCONFIGDIR": str(_CACHE / "matplotlib"),
    "MPLBACKEND": "Agg",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")])),
}
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("UNMASK_PRECISION", "fp32")  # no test hangs on what is faster here

# No test asserts a time.
hypothesis.settings.register_profile("unmask", deadline=None)
hypothesis.settings.load_profile("unmask")


def pytest_sessionstart() -> None:
    """No line of progress tells how slow this machine is: a test that is about them sets the time itself."""
    from unmask import progress_line

    progress_line.SOON = 3600.0


def pytest_collection_finish() -> None:
    """No search for garbage looks at what lives as long as the tests do: libraries and 5,000 tests, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure() -> None:
    if _OWN_CACHE:
        shutil.rmtree(_CACHE, ignore_errors=True)


@dataclass(frozen=True)
class Ran:
    """What one command line did."""

    status: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command line in this process: ``cli("doctor", "--json")``."""
    from unmask.cli.app import run

    def call(*args: object) -> Ran:
        capsys.readouterr()
        status = run([str(arg) for arg in args])
        return Ran(status, *capsys.readouterr())

    return call


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show progress from its first moment on, every time that it is told."""
    from unmask import progress_line

    class Now:
        daemon = True

        def __init__(self, seconds: float, call: Callable[..., None], given: Sequence[Any] = ()) -> None:
            self.start = partial(call, *given)

        def cancel(self) -> None:
            pass

    monkeypatch.setattr(progress_line.threading, "Timer", Now)
    for name in ("SOON", "_GAP", "_OFTEN"):
        monkeypatch.setattr(progress_line, name, 0.0)


@pytest.fixture
def python() -> Callable[..., Ran]:
    """Run Python source in a process of its own, where nothing has been imported yet."""

    def call(source: str, **environment: str) -> Ran:
        call = [sys.executable, "-c", source]
        done = subprocess.run(call, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    return call


def _train_tiny(folder: Path, recipe: str) -> Path:
    """Train a byte model of a few thousand parameters for two steps, on a text file beside the run."""
    import json

    from unmask.training.recipe import load_recipe
    from unmask.training.train import train

    text = folder / "text.jsonl"
    words = ("cat", "dog", "fox", "owl", "hen")
    rows = ({"text": f"The {words[i % 5]} number {i} met a {words[i * 3 % 5]} on day {i * i}."} for i in range(60))
    text.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tiny = {
        "data.source": text,
        "data.tokenizer": "bytes",
        "data.length": 48,
        "backbone.hidden_size": 32,
        "backbone.num_hidden_layers": 2,
        "backbone.num_attention_heads": 4,
        "backbone.intermediate_size": 48,
        "training.max_steps": 2,
        "training.per_device_train_batch_size": 4,
        "data.valid_fraction": 0.2,
        "training.valid_blocks": 4,
        "training.eval_steps": 2,
        "training.logging_steps": 1,
        "training.warmup_steps": 0,
    }
    train(load_recipe(recipe, [f"{key}={value}" for key, value in tiny.items()]), folder / recipe)
    return folder / recipe


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished causal run. Shared by all tests: do not change it."""
    return _train_tiny(tmp_path_factory.mktemp("causal"), "nano-causal")


@pytest.fixture(scope="session")
def tiny_masked_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished masked run. Shared by all tests: do not change it."""
    return _train_tiny(tmp_path_factory.mktemp("masked"), "nano-masked")
