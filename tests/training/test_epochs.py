"""Epochs in place of steps, and the original systems' other names for how to train."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from unmask.errors import Error
from unmask.training.arguments import trainer_arguments
from unmask.training.epochs import steps_of
from unmask.training.plan import plan
from unmask.training.recipe import Recipe, load_recipe, parse_recipe
from unmask.training.run import Run
from unmask.training.train import train


@given(st.floats(0.01, 50), st.integers(1, 10_000), st.integers(1, 64))
def test_steps_are_the_fewest_that_read_so_many_blocks(epochs: float, blocks: int, rows: int) -> None:
    steps = steps_of(epochs, blocks, rows)
    assert steps * rows >= epochs * blocks and (steps == 1 or (steps - 1) * rows < epochs * blocks)


def test_every_block_is_read_so_often_and_the_stored_recipe_says_the_steps(
    tiny: Callable[..., Recipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny("nano-causal", "training.epochs=2", "training.save_steps=5")
    assert recipe.training.epochs == 2
    run = train(recipe, tmp_path / "run")
    steps = steps_of(2, run.manifest["blocks"], 4)
    assert run.manifest["steps"] == steps == run.recipe.training.max_steps and run.manifest["epochs"] == 2
    stored = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text("utf-8"))["training"]
    assert stored["max_steps"] == steps and "epochs" not in stored
    assert Run.open(tmp_path / "run").recipe == run.recipe
    assert run.manifest["tokens_seen"] == steps * 4 * 31

    manifest = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest | {"status": "interrupted"}), "utf-8")
    capsys.readouterr()
    again = train(recipe, tmp_path / "run", resume=True)
    assert again.manifest["epochs"] == 2 and again.manifest["steps"] == steps
    assert "not used" not in capsys.readouterr().err


def test_epochs_train_what_as_many_steps_train(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    one = train(tiny("nano-causal", "training.epochs=0.5"), tmp_path / "epochs")
    other = train(tiny("nano-causal", f"training.max_steps={one.manifest['steps']}"), tmp_path / "steps")
    weights = zip(one.model().state_dict().values(), other.model().state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)


def test_what_is_said_last_decides_and_both_at_once_are_refused(tmp_path: Path) -> None:
    assert load_recipe("nano-causal", ["training.max_steps=5", "training.epochs=3"]).training.epochs == 3
    back = load_recipe("nano-causal", ["training.num_train_epochs=3", "training.steps=5"]).training
    assert back.epochs is None and back.max_steps == 5
    (tmp_path / "mine.yaml").write_text("base: nano-causal\ntraining: {epochs: 4}\n", "utf-8")
    assert load_recipe(tmp_path / "mine.yaml").training.epochs == 4
    (tmp_path / "both.yaml").write_text("training: {epochs: 4, max_steps: 9}\n", "utf-8")
    with pytest.raises(Error, match="leave one out"):
        load_recipe(tmp_path / "both.yaml")
    for wrong in ("0", "-1", ".nan", "many"):
        with pytest.raises(Error, match=r"training\.epochs"):
            load_recipe("nano-causal", [f"training.epochs={wrong}"])


def test_a_dry_run_says_that_the_steps_are_not_known_yet(cli: Callable[..., Any]) -> None:
    recipe = load_recipe("wubu")
    assert recipe.training.epochs == 10 and "max_steps" not in recipe.model_dump()["training"]
    assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe
    cost = plan(recipe)
    assert cost.tokens is None and cost.training_flops is None and cost.tokens_per_step == 16 * 2 * 256
    shown = cli("train", "wubu", "--dry-run")
    assert shown.status == 0 and "steps of 10 epochs: known once the data is read" in shown.out
    assert "epochs: 10" in shown.out and "max_steps" not in shown.out
    told = json.loads(cli("train", "wubu", "--dry-run", "--json").out)
    assert told["tokens"] is None and told["training_flops"] is None
    assert json.loads(cli("train", "nano-causal", "--dry-run", "--json").out)["tokens"] > 0


def test_no_amp_is_single_precision(tmp_path: Path) -> None:
    recipe = load_recipe("wubu", ["training.no_amp=true"])
    assert recipe.training.precision == "fp32" and "no_amp" not in recipe.to_yaml()
    assert not trainer_arguments(recipe, tmp_path).bf16
    assert load_recipe("wubu", ["training.no_amp=false"]).training.precision == "auto"
    for wrong in ("training={no_amp: true, precision: bf16}", "training.no_amp=3"):
        with pytest.raises(Error, match="no_amp"):
            load_recipe("wubu", [wrong])


@pytest.mark.filterwarnings("ignore:Error detected in BadBackward")
@pytest.mark.parametrize("asked", [True, False])
def test_anomalies_are_detected_where_asked_and_nowhere_after(
    tiny: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    from unmask.models.transformer import Transformer

    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(context: Any, *given: torch.Tensor) -> torch.Tensor:
            return given[0] * torch.nan

    embedded = Transformer._embedded
    monkeypatch.setattr(Transformer, "_embedded", lambda self, state: Bad.apply(embedded(self, state)))
    recipe = tiny("nano-causal", f"training.detect_anomaly={str(asked).lower()}")
    if asked:
        with pytest.raises(RuntimeError, match="BadBackward"):
            train(recipe, tmp_path / "run")
    else:
        try:
            train(recipe, tmp_path / "run")
        except Error as error:
            assert "BadBackward" not in str(error)
    assert not torch.is_anomaly_enabled()
