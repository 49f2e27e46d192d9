"""A run's folder is one training's at a time, and whatever ends a training leaves a folder that starts or goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unmask.data.lock import LOCK
from unmask.errors import Error
from unmask.training import checkpoints
from unmask.training.plan import Plan
from unmask.training.recipe import Recipe
from unmask.training.run import MANIFEST, Run
from unmask.training.train import train

pytestmark = pytest.mark.strangers

Tiny = Callable[..., Recipe]


HELD = """
import os, signal, sys
from unmask.cli import app
from unmask.training import train as training
point, tell, wait = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
real = getattr(training, point)
def held(*args, **kwargs):
    found = real(*args, **kwargs) if point == "prepare" else None
    os.write(tell, b"x")
    os.read(wait, 1)
    return found or real(*args, **kwargs)
setattr(training, point, held)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has it ignored
sys.argv = ["unmask", *sys.argv[4:]]
app.main()
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from unmask.training import checkpoints
from unmask.training.recipe import load_recipe
from unmask.training.train import train
real, calls = checkpoints.seal, []
def counted(*args):
    calls.append(args)
    if len(calls) == 2:
        (args[0] / "half").write_text("written")
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
checkpoints.seal = counted
train(load_recipe(sys.argv[1]), Path(sys.argv[2]))
"""
"""Programs of processes of their own: a copy of this one (fork) may stand still for ever in what its threads held."""


class Other:
    """Another process that trains, held at a point of it.

    Attributes:
        pid: Its number.
    """

    def __init__(self, arguments: list[str], point: str) -> None:
        told, tell = os.pipe()
        wait, self._go = os.pipe()
        program = [sys.executable, "-c", HELD, point, str(tell), str(wait), *arguments]
        self._process = subprocess.Popen(program, pass_fds=(tell, wait))
        self.pid = self._process.pid
        os.close(tell)
        assert os.read(told, 1) == b"x"
        os.close(told)

    def end(self, number: int = 0) -> int:
        """Send a signal, or let it go on, and return its exit status, a signal's number below 0."""
        os.kill(self.pid, number) if number else os.write(self._go, b"x")
        return self._process.wait(timeout=120)

    def end_if_there(self) -> None:
        """Kill it, if a test has failed before its end."""
        if self._process.poll() is None:
            self.end(signal.SIGKILL)


@pytest.fixture
def other(tiny: Tiny, tmp_path: Path) -> Iterator[Callable[..., Other]]:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(tiny("nano-masked").to_yaml())
    started = []

    def start(folder: Path, point: str, *more: str) -> Other:
        started.append(Other(["train", str(recipe), "--output", str(folder), *more], point))
        return started[-1]

    yield start
    for one in started:
        one.end_if_there()


def test_a_second_training_is_refused_and_told_who_is_there(cli, other, tiny, tmp_path):
    folder = tmp_path / "shared"
    first = other(folder, "prepare")
    for more in ((), ("--resume",)):
        ran = cli("train", tmp_path / "recipe.yaml", "--output", folder, *more)
        assert ran.status == 2 and f"(training, process {first.pid} on " in ran.err
    with pytest.raises(Error, match="another training is at work in"):
        train(tiny("nano-causal"), folder)
    assert first.end() == 0
    assert Run.open(folder).recipe.process.name == "masked" and not (folder / LOCK).exists()


def test_a_run_that_is_training_is_not_resumed_beside_it(other, tiny, tmp_path):
    first = other(tmp_path / "run", "_train")
    before = (tmp_path / "run" / MANIFEST).read_bytes()
    with pytest.raises(Error, match=rf"another training is at work .*process {first.pid} "):
        train(tiny("nano-masked"), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / MANIFEST).read_bytes() == before
    assert first.end() == 0 and Run.open(tmp_path / "run").manifest["steps"] == 8


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_what_stops_a_run_that_prepares_leaves_a_folder_that_starts_again(other, tiny, tmp_path, capfd, number, status):
    folder = tmp_path / "run"
    assert other(folder, "prepare").end(number) == status
    assert folder.exists() == (number == signal.SIGKILL)
    assert "Traceback" not in capfd.readouterr().err
    assert train(tiny("nano-masked"), folder).manifest["status"] == "finished"
    assert ("which was left by a process that was killed" in capfd.readouterr().err) == (number == signal.SIGKILL)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_what_stops_a_run_before_its_first_step_leaves_one_that_goes_on(other, tiny, tmp_path, number, status):
    assert other(tmp_path / "run", "_train").end(number) == status
    assert train(tiny("nano-masked"), tmp_path / "run", resume=True).manifest["status"] == "finished"


def test_a_failed_start_removes_only_what_it_made(tiny, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def fail(plan):
        (folder / "notes.txt").write_text("put there meanwhile")
        raise KeyboardInterrupt

    monkeypatch.setattr(Plan, "network", fail)
    with pytest.raises(KeyboardInterrupt):
        train(tiny("nano-masked"), folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_tokenizer_of_the_users_own_is_no_killed_start(tiny, tmp_path):
    (tmp_path / "run" / "tokenizer").mkdir(parents=True)
    with pytest.raises(Error, match="is not empty and holds no run"):
        train(tiny("nano-masked"), tmp_path / "run")
    assert (tmp_path / "run" / "tokenizer").exists()


def test_a_run_does_not_become_a_part_of_its_own_text(cli, text_file, tiny, tmp_path):
    (tmp_path / "recipe.yaml").write_text(tiny("nano-masked").to_yaml())
    ran = cli("train", tmp_path / "recipe.yaml", "--output", text_file / "runs" / "one")
    assert ran.status == 2 and "lies in the folder of the text" in ran.err
    assert not (text_file / "runs").exists()


def test_killed_in_the_middle_of_a_checkpoint_goes_on_from_the_one_before(tiny, tmp_path, capsys):
    run = tmp_path / "run"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(tiny("nano-masked", "training.max_steps=12").to_yaml())
    ended = subprocess.run([sys.executable, "-c", KILLED, str(recipe), str(run)])
    assert ended.returncode == -signal.SIGKILL
    assert [path.name for path in checkpoints.listing(run / "checkpoints")] == ["checkpoint-4"]
    assert train(tiny("nano-masked", "training.max_steps=12"), run, resume=True).manifest["steps"] == 12
    assert "cannot be used" not in capsys.readouterr().err
    assert not list(run.rglob("half")) and checkpoints.fault(run / "checkpoints" / "checkpoint-8") is None
