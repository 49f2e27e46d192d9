"""Promises of the gradient monitor: no step without a finite gradient, and every norm and clip counted."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from transformers import TrainerCallback

from unmask.diffusion.causal import Causal
from unmask.errors import Error
from unmask.training import checkpoints, monitor
from unmask.training.gradients import IN_A_ROW, GradientMonitor, poisoned
from unmask.training.recipe import Recipe
from unmask.training.run import Run
from unmask.training.train import train

Tiny = Callable[..., Recipe]
REAL = Causal.loss
SHORT = ("training.valid_blocks=0", "training.save_steps=8", "backbone.num_hidden_layers=1")
BAD: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "nan loss": lambda loss: loss * math.nan,
    "infinite loss with a finite gradient": lambda loss: loss + math.inf,
    "nan gradient of a finite loss": lambda loss: _hooked(loss, math.nan),
    "infinite gradient of a finite loss": lambda loss: _hooked(loss, math.inf),
}


def _hooked(loss: torch.Tensor, factor: float) -> torch.Tensor:
    loss.register_hook(lambda gradient: gradient * factor)
    return loss


def spoil(patch: pytest.MonkeyPatch, how: str, steps: set[int], total: int = 8) -> None:
    """Make the loss of some optimiser steps, from 1, a bad one."""

    def loss(self: Causal, model: object, batch: object, seed: int, progress: float = 1.0) -> dict[str, torch.Tensor]:
        found = REAL(self, model, batch, seed, progress)["loss"]
        learns = found.requires_grad and round(progress * total) + 1 in steps
        return {"loss": BAD[how](found) if learns else found}

    patch.setattr(Causal, "loss", loss)


class Watch(TrainerCallback):
    """Keeps weights and optimiser state around each step, and every log."""

    def __init__(self) -> None:
        self.before: dict[int, list[torch.Tensor]] = {}
        self.after: dict[int, list[torch.Tensor]] = {}
        self.logs: list[dict[str, float]] = []

    def on_pre_optimizer_step(self, args, state, control, model, optimizer, **kwargs):
        self.before[state.global_step + 1] = self.all_of(model, optimizer)

    def on_optimizer_step(self, args, state, control, model, optimizer, **kwargs):
        self.after[state.global_step + 1] = self.all_of(model, optimizer)

    def on_log(self, args, state, control, logs, **kwargs):
        self.logs += [dict(logs)] if "loss" in logs else []

    @staticmethod
    def all_of(model, optimizer) -> list[torch.Tensor]:
        state = [v for kept in optimizer.state.values() for v in kept.values() if isinstance(v, torch.Tensor)]
        return [t.detach().clone() for t in (*model.parameters(), *state)]

    def moved(self, step: int) -> bool:
        before, after = self.before[step], self.after[step]
        return len(before) != len(after) or not all(map(torch.equal, before, after))


@pytest.mark.parametrize(
    ("how", "optim"), [*((how, "adamw_torch") for how in BAD), ("nan loss", "adamw_torch_fused"), ("nan loss", "sgd")]
)
def test_a_step_that_is_not_finite_leaves_weights_and_moments_as_they_were(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, optim: str
) -> None:
    spoil(monkeypatch, how, {3, 6})
    watch = Watch()
    momentum = ["training.optim_args='momentum=0.9'"] if optim == "sgd" else []
    run = train(tiny("nano-causal", *SHORT, f"training.optim={optim}", *momentum), tmp_path / "run", callbacks=[watch])
    assert [step for step in range(1, 9) if not watch.moved(step)] == [3, 6]
    assert run.manifest["skipped_steps"] == 2
    assert [row["gradient.skipped"] for row in watch.logs] == [0, 0, 1, 1, 1, 2, 2, 2]
    assert all(torch.isfinite(w).all() for w in load_file(run.path / "model.safetensors").values())


def test_one_bad_batch_of_an_accumulated_step_leaves_out_the_step(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def loss(self: Causal, *given: object) -> dict[str, torch.Tensor]:
        found = REAL(self, *given)["loss"]
        calls.append(found.requires_grad)
        return {"loss": found * math.nan if sum(calls) == 5 and found.requires_grad else found}

    monkeypatch.setattr(Causal, "loss", loss)
    watch = Watch()
    train(tiny("nano-causal", *SHORT, "training.gradient_accumulation_steps=2"), tmp_path / "run", callbacks=[watch])
    assert [step for step in range(1, 9) if not watch.moved(step)] == [3]


def test_the_schedule_goes_on_and_the_logged_loss_stays_a_number(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, spoilt = Watch(), Watch()
    train(tiny("nano-causal", *SHORT), tmp_path / "straight", callbacks=[straight])
    spoil(monkeypatch, "nan loss", {3})
    train(tiny("nano-causal", *SHORT), tmp_path / "spoilt", callbacks=[spoilt])
    assert [r["learning_rate"] for r in spoilt.logs] == [r["learning_rate"] for r in straight.logs]
    losses = [row["loss"] for row in spoilt.logs]
    assert losses[:2] == [row["loss"] for row in straight.logs[:2]]
    assert losses[2] == losses[1], "the last finite loss stands in"
    assert all(map(math.isfinite, losses))


def test_too_many_in_a_row_end_the_run_with_the_fix(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "nan loss", set(range(6, 99)), total=20)
    with pytest.raises(Error) as error:
        train(tiny("nano-causal", "training.max_steps=20"), tmp_path / "run")
    assert str(error.value) == (
        "the loss is nan and the gradient nan at step 15, the 10th step in a row that had to be left out; start again "
        "with a lower training.learning_rate, or with training.precision=fp32."
    )
    saved, problems = checkpoints.newest(tmp_path / "run" / "checkpoints")
    assert saved is not None and not problems
    assert all(torch.isfinite(w).all() for w in load_file(saved / "model.safetensors").values())


def test_a_short_run_without_a_single_step_does_not_finish(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "nan gradient of a finite loss", set(range(1, 9)))
    with pytest.raises(Error, match="the gradient is nan at step 8"):
        train(tiny("nano-causal", *SHORT), tmp_path / "run")


def test_a_good_step_starts_the_row_again() -> None:
    watched = GradientMonitor(1.0)
    for step, norm in enumerate(([math.nan] * (IN_A_ROW - 1) + [1.0]) * 3, start=1):
        watched.saw(norm, step)
    assert watched.run.skipped == 3 * (IN_A_ROW - 1)


def test_shares_and_means_are_those_of_a_hand_computation() -> None:
    watched = GradientMonitor(2.0)
    for step, norm in enumerate([1.0, 4.0, math.inf, 8.0, 1.5], start=1):
        watched.saw(norm, step)
    told = watched.told()
    assert told == {
        "gradient.norm": pytest.approx((1 + 4 + 8 + 1.5) / 4),
        "gradient.norm_max": 8.0,
        "gradient.clipped": 0.5,
        "gradient.clip_ratio": pytest.approx((1 + 2 / 4 + 2 / 8 + 1) / 4, abs=1e-6),
        "gradient.skipped": 1,
    }
    assert watched.told() == {"gradient.skipped": 1}, "means are since the last log, skipped steps since the start"


@given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=5), st.floats(0, 20))
def test_the_clip_ratio_is_what_clipping_does(values: list[float], most: float) -> None:
    parameter = nn.Parameter(torch.zeros(len(values)))
    parameter.grad = torch.tensor(values)
    before = parameter.grad.clone()
    norm = float(nn.utils.clip_grad_norm_([parameter], most or math.inf))
    watched = GradientMonitor(most)
    watched.saw(norm, 1)
    torch.testing.assert_close(parameter.grad, before * watched.run.ratios, rtol=1e-5, atol=1e-6)
    assert watched.run.clipped == (watched.run.ratios < 1)


@given(st.floats(-1e6, 1e6, width=32))
def test_a_finite_loss_keeps_its_value_and_gradient_bit_for_bit(value: float) -> None:
    plain, guarded = (torch.tensor(value, requires_grad=True) for _ in range(2))
    (plain * 3).backward()
    poisoned(guarded * 3).backward()
    assert torch.equal(plain * 3, poisoned(plain * 3)) and torch.equal(plain.grad, guarded.grad)


def test_anomaly_detection_sees_the_loss_itself() -> None:
    loss = torch.tensor(math.nan, requires_grad=True) * 1
    with torch.autograd.set_detect_anomaly(True):
        assert poisoned(loss) is loss


def test_every_loss_in_the_metrics_has_its_gradients_beside(tiny: Tiny, tmp_path: Path) -> None:
    given = (*SHORT, "training.logging_steps=2", "training.max_grad_norm=0.5")
    rows = [row for row in train(tiny("nano-masked", *given), tmp_path / "run").metrics() if "loss" in row]
    assert len(rows) == 4
    for row in rows:
        assert row["gradient.skipped"] == 0 and row["gradient.clipped"] == 1.0 and row["gradient.clip_ratio"] < 1
        assert 0.5 < row["gradient.norm"] <= row["gradient.norm_max"]
        assert row["grad_norm"] <= row["gradient.norm_max"] + 1e-6


class StopAt(monitor.Interrupt):
    def on_step_end(self, args, state, control, **kwargs):
        self.asked = state.global_step == 5
        super().on_step_end(args, state, control, **kwargs)


def test_counts_go_on_where_a_run_is_resumed(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, "nan loss", {3, 7})
    recipe = tiny("nano-causal", *SHORT, "training.logging_steps=4")
    whole, halves = Watch(), Watch()
    train(recipe, tmp_path / "whole", callbacks=[whole])
    with monkeypatch.context() as patch:
        patch.setattr("unmask.training.train.Interrupt", StopAt)
        train(recipe, tmp_path / "halves")
    run = train(recipe, tmp_path / "halves", resume=True, callbacks=[halves])
    assert run.manifest["skipped_steps"] == 2

    def of(row: dict[str, float]) -> dict[str, float]:
        return {key: value for key, value in row.items() if key.startswith("gradient.")}

    assert of(whole.logs[-1]) == of(halves.logs[-1])


RANKS = """
import sys, math, os
from pathlib import Path
from unmask.diffusion.causal import Causal
from unmask.training import train as training
from unmask.training.recipe import load_recipe

rank, real = int(os.environ["RANK"]), Causal.loss

def loss(self, model, batch, seed, progress=1.0):
    found = real(self, model, batch, seed, progress)["loss"]
    return {"loss": found + math.inf if found.requires_grad and rank == 1 and round(progress * 8) == 2 else found}

Causal.loss = loss
made = training.ProcessTrainer

class Told(made):
    def train(self, **given):
        super().train(**given)
        weights = sum(float(p.double().abs().sum()) for p in self.model.parameters())
        Path(sys.argv[2] + f".rank{rank}").write_text(f"{self.gradients.run.skipped} {weights!r}")

training.ProcessTrainer = Told
training.train(load_recipe(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("controller", ["null", "original", "{name: mended, every: 2}"])
def test_all_ranks_leave_out_the_step_that_one_cannot_take(tiny: Tiny, tmp_path: Path, controller: str) -> None:
    recipe = tiny("nano-causal", f"qcontroller={controller}")
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    (tmp_path / "script.py").write_text(RANKS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, tmp_path / "script.py", tmp_path / "recipe.yaml", tmp_path / "run"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, two = ((tmp_path / f"run.rank{rank}").read_text() for rank in (0, 1))
    assert one == two and one.startswith("1 ")
    assert Run.open(tmp_path / "run").manifest["skipped_steps"] == 1
