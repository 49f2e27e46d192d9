"""Trackers get the numbers of a run, in a place that stays; where one fails, the run goes on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers.integrations import MLflowCallback, TensorBoardCallback, WandbCallback

from unmask.errors import Error
from unmask.training.recipe import Recipe
from unmask.training.run import Run
from unmask.training.train import train

pytestmark = pytest.mark.strangers
Tiny = Callable[..., Recipe]


def short(tiny: Tiny, *overrides: str) -> Recipe:
    return tiny("nano-masked", "training.max_steps=3", "training.save_steps=1", *overrides)


def losses(run: Run) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in run.metrics() if "loss" in row]


@pytest.fixture
def absent(request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the scalars of the event files in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


@pytest.mark.parametrize("absent", ["tensorboard"], indirect=True)
def test_tensorboard_has_the_numbers_of_the_run_in_the_runs_own_folder(tiny: Tiny, tmp_path: Path, absent: Any) -> None:
    run = train(short(tiny, "training.report_to=tensorboard"), tmp_path / "run")
    told = events(run.path / "tensorboard")
    assert told["train/loss"] == [(step, pytest.approx(loss)) for step, loss in losses(run)]
    assert told["eval/loss"][-1] == (3, pytest.approx(run.manifest["valid_nats_per_token"]))
    assert Run.open(run.path).manifest["status"] == "finished"


@pytest.mark.parametrize("absent", ["tensorboard"], indirect=True)
def test_tensorboard_writes_where_its_variable_says(tiny: Tiny, tmp_path: Path, monkeypatch, absent: Any) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "elsewhere"))
    run = train(short(tiny, "training.report_to=[tensorboard]"), tmp_path / "run")
    assert events(tmp_path / "elsewhere")["train/loss"] and not (run.path / "tensorboard").exists()


@pytest.mark.parametrize("absent", ["wandb"], indirect=True)
def test_wandb_writes_offline(tiny: Tiny, tmp_path: Path, monkeypatch, absent: Any) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = train(short(tiny, "training.report_to=wandb", "training.run_name=mine"), tmp_path / "run")
    import wandb

    assert wandb.run.name == "mine" and wandb.run.summary["train/loss"] == pytest.approx(losses(run)[-1][1])
    wandb.finish()
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.parametrize("absent", ["mlflow"], indirect=True)
def test_mlflow_writes_into_a_file_store(tiny: Tiny, tmp_path: Path, monkeypatch, absent: Any) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run = train(short(tiny, "training.report_to=mlflow"), tmp_path / "run")
    import mlflow

    (stored,) = mlflow.tracking.MlflowClient().search_runs(["0"])
    assert stored.info.run_name == "run" and stored.info.status == "FINISHED"
    assert stored.data.metrics["loss"] == pytest.approx(losses(run)[-1][1])


KINDS = {"tensorboard": TensorBoardCallback, "wandb": WandbCallback, "mlflow": MLflowCallback}


@pytest.mark.parametrize("event", ["on_train_begin", "on_log", "on_save", "on_train_end"])
@pytest.mark.parametrize("absent", ["tensorboard"], indirect=True)
def test_a_tracker_that_fails_is_told_once_and_costs_nothing(
    tiny: Tiny, tmp_path: Path, monkeypatch, capsys, event: str, absent: Any
) -> None:
    calls = []

    def fail(*args: object, **kwargs: object) -> None:
        calls.append(1)
        raise ConnectionError("the server\nis away")

    monkeypatch.setattr(TensorBoardCallback, event, fail)
    run = train(short(tiny, "training.report_to=tensorboard"), tmp_path / "run")
    assert run.manifest["status"] == "finished" and len(losses(run)) == 3 and len(calls) == 1
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warned) == 1 and "tracker tensorboard failed and gets nothing more (the server)" in warned[0]


@pytest.mark.parametrize("name", list(KINDS))
def test_an_absent_tracker_is_one_line_at_validation(tiny: Tiny, monkeypatch, name: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Error, match=rf"{name} is not installed; pip install {name}, or leave report_to out"):
        short(tiny, f"training.report_to={name}")


def test_a_folder_that_is_called_as_a_tracker_is_no_tracker(tiny: Tiny, tmp_path: Path, monkeypatch) -> None:
    if (found := importlib.util.find_spec("wandb")) is not None and found.origin is not None:
        pytest.skip("wandb is installed")
    (tmp_path / "wandb").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Error, match="wandb is not installed"):
        short(tiny, "training.report_to=wandb")
