"""What fails behind the last step of a run costs nothing that was learnt: weights and manifest are there by then."""

from __future__ import annotations

import errno
import importlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from unmask.errors import Error
from unmask.models.transformer import Transformer
from unmask.sweeps.train_recipe import train_recipe
from unmask.training import checkpoints
from unmask.training.monitor import Metrics
from unmask.training.recipe import Recipe
from unmask.training.run import Run
from unmask.training.train import train
from unmask.training.trainer import ProcessTrainer

pytestmark = pytest.mark.strangers
Tiny = Callable[..., Recipe]
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def recipe(tiny: Tiny) -> Recipe:
    return tiny("nano-masked", "training.max_steps=3", "training.save_steps=3", "training.eval_steps=3")


@pytest.fixture
def sound(recipe: Recipe, tmp_path: Path) -> dict[str, torch.Tensor]:
    return train(recipe, tmp_path / "sound").model().state_dict()


class Failing(TrainerCallback):
    """Fails in one event."""

    def __init__(self, event: str, what: BaseException) -> None:
        def fail(*args: object, **kwargs: object) -> None:
            raise what

        setattr(self, event, fail)


def fail_in(place: str, monkeypatch: pytest.MonkeyPatch) -> list[TrainerCallback]:
    """Let the last part of training that is named fail."""

    def fail(*args: object, **kwargs: object) -> Any:
        raise FULL

    if place == "metrics":
        real = Metrics.on_log

        def on_log(self: Metrics, args: Any, state: Any, *rest: Any, **more: Any) -> None:
            fail() if state.global_step == 3 else real(self, args, state, *rest, **more)

        monkeypatch.setattr(Metrics, "on_log", on_log)
    elif place == "score":
        monkeypatch.setattr(ProcessTrainer, "_held_out", fail)
    elif place == "checkpoint":
        monkeypatch.setattr(checkpoints, "seal", fail)
    elif place == "bits per byte":
        monkeypatch.setattr("unmask.training.train.tokens_a_byte", fail)
    else:
        return [Failing(place, FULL)]
    return []


@pytest.mark.parametrize(
    "place", ["metrics", "score", "checkpoint", "on_evaluate", "on_save", "on_train_end", "bits per byte"]
)
def test_what_fails_behind_the_last_step_leaves_the_weights(recipe, sound, tmp_path, monkeypatch, place: str) -> None:
    with pytest.raises(Error, match=r"is trained and its weights are in .*run, but what comes behind them failed") as e:
        train(recipe, tmp_path / "run", callbacks=fail_in(place, monkeypatch))
    assert "\n" not in str(e.value) and "No space left" in str(e.value)
    run = Run.open(tmp_path / "run")
    assert run.manifest["status"] == "finished" and run.manifest["steps"] == 3
    kept = run.model().state_dict()
    assert all(torch.equal(kept[name], sound[name]) for name in sound)
    assert not (run.path / ".weights").exists()


def test_ctrl_c_in_the_last_score_keeps_the_finished_run(recipe, sound, tmp_path, monkeypatch, capsys) -> None:
    def stop(self: ProcessTrainer, network: Any) -> float:
        signal.raise_signal(signal.SIGINT)  # asks to stop
        signal.raise_signal(signal.SIGINT)  # at once
        raise AssertionError("goes on")

    monkeypatch.setattr(ProcessTrainer, "_held_out", stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run")
    assert "is trained and its weights are in" in capsys.readouterr().err.splitlines()[-1]
    run = Run.open(tmp_path / "run")
    assert run.manifest["status"] == "finished" and "valid_bits_per_byte" not in run.manifest
    assert all(torch.equal(run.model().state_dict()[name], sound[name]) for name in sound)


def test_weights_that_cannot_be_written_leave_the_checkpoint_before(tiny, tmp_path, monkeypatch) -> None:
    recipe = tiny("nano-masked", "training.max_steps=3", "training.save_steps=1")
    real = Transformer.save_pretrained

    def save(self: Transformer, folder: Path, *rest: Any, **more: Any) -> None:
        if Path(folder).name == ".weights":
            raise FULL
        real(self, folder, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Transformer, "save_pretrained", save)
        with pytest.raises(OSError, match="No space left"):
            train(recipe, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "running"
    assert not (tmp_path / "run" / ".weights").exists()
    again = train(recipe, tmp_path / "run", resume=True)
    assert again.manifest["status"] == "finished" and again.manifest["steps"] == 3


def test_a_run_that_is_resumed_behind_its_last_step_is_finished(recipe, sound, tmp_path) -> None:
    folder = tmp_path / "sound"
    (folder / "model.safetensors").unlink()
    again = train(recipe, folder, resume=True)
    assert again.manifest["status"] == "finished"
    assert all(torch.equal(again.model().state_dict()[name], sound[name]) for name in sound)


def test_pictures_that_cannot_be_drawn_are_told(tiny, tmp_path, monkeypatch, capsys) -> None:
    def fail(*args: object) -> None:
        raise FULL

    monkeypatch.setattr(importlib.import_module("unmask.pictures.run"), "draw_run", fail)
    recipe = tiny("nano-masked", "training.max_steps=2", "training.plot_every=1")
    assert train_recipe(recipe, tmp_path / "run").manifest["status"] == "finished"
    assert "warning: no pictures in" in capsys.readouterr().err
