"""Promises of the Q-controller: what it sees, learns and may do, and that a run with it is as repeatable as any."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from transformers import TrainerCallback

from unmask.errors import Error
from unmask.training import monitor
from unmask.training.qcontroller import mended, original
from unmask.training.qcontroller.callback import make_controller
from unmask.training.qcontroller.factors import Controller, Limits, Scales, release, steer
from unmask.training.qcontroller.mended import MendedController
from unmask.training.qcontroller.options import ControllerOptions, MendedOptions, OriginalOptions, RandomOptions
from unmask.training.qcontroller.original import OriginalController, oscillating, plain_reward, state_of, trend
from unmask.training.qcontroller.probe import probe_loss
from unmask.training.qcontroller.table import QTable, step_size
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.train import train

Tiny = Callable[..., Recipe]
SHORT = ("training.valid_blocks=0", "training.save_steps=8", "backbone.num_hidden_layers=1")
GREEDY = {"q_epsilon": 0.0, "q_min_epsilon": 0.0}
losses = st.lists(st.floats(1e-3, 1e3) | st.just(math.nan) | st.just(math.inf), min_size=1, max_size=60)
norms = st.floats(0, 100) | st.just(math.nan)


def steps(controller: Controller, values: list[float], norm: float = 1.0, rate: float = 1e-3) -> Iterator[Scales]:
    """Drive a controller by given losses."""
    for value in values:
        yield controller.act(lambda value=value: value, norm, rate, 0.9)


# What Bytropix's controller sees


def test_the_trend_is_the_slope_of_the_line_over_the_mean() -> None:
    assert trend([5.0, 4.0, 3.0]) == pytest.approx(-1 / 4)
    assert trend([2.0, 2.0, 2.0]) == 0
    assert trend([1.0, 2.0, 1.0, 2.0]) == pytest.approx(0.2 / 1.5)  # (-1.5 + -1.0 + 0.5 + 3.0) / 5 = 0.2


@pytest.mark.parametrize(
    ("losses", "norms", "rewards", "rate", "momentum", "state"),
    [
        ([5.0, 4.0, 3.0], [0.2, 0.3, 2.0], [], 1e-3, 0.9, (0, 1, 0, 3, 1)),
        ([3.0, 3.0, 3.0], [0.01, 0.02, 0.03], [0.1, 0.1], 1e-5, 0.5, (2, 0, 0, 0, 0)),
        ([1.0, 1.01, 1.02], [1.0, 1.0, 9.0], [0.1, -0.1, 0.1, -0.1], 3e-4, 0.95, (3, 2, 1, 2, 2)),
        ([1.0, 2.0, 3.0], [9.0, 9.0, 2.0], [0.1, -0.1, 0.1], 1e-2, 0.98, (4, 4, 0, 4, 3)),
        ([1.0, 0.99, 0.98], [2.0, 2.0, 2.0], [], 1e-4, 0.9, (1, 3, 0, 1, 1)),
    ],
)
def test_states_are_the_bins_of_a_hand_computation(losses, norms, rewards, rate, momentum, state) -> None:
    assert state_of(losses, norms, rewards, rate, momentum) == state


def test_three_changes_of_sign_are_an_oscillation() -> None:
    assert oscillating([1.0, -1.0, 1.0, -1.0]) and not oscillating([1.0, -1.0, 1.0, 1.0, 1.0])
    assert not oscillating([])


@pytest.mark.parametrize(
    ("before", "loss", "norm", "oscillates", "reward"),
    [
        (4.0, 3.9, 1.0, False, math.tanh(0.25)),
        (4.0, 4.1, 1.0, True, -math.tanh(0.25) - 0.15),
        (4.0, 4.0, 10.0, False, -0.05),
        (4.0, 4.0, 99.0, False, -0.1),
        (4.0, 4.0, 0.01, False, 0.02),
        (4.0, 4.0, 5.0, False, 0.0),
    ],
)
def test_rewards_are_those_of_a_hand_computation(before, loss, norm, oscillates, reward) -> None:
    assert plain_reward(before, loss, norm, oscillates) == pytest.approx(reward)


def test_steady_progress_is_rewarded_every_five_steps_up_to_a_tenth() -> None:
    controller = OriginalController(OriginalOptions(), 0)
    bonus = []
    for i, _ in enumerate(steps(controller, [0.999**n for n in range(17)])):
        if i:
            bonus.append(controller.rewards[-1] - math.tanh(10 * (1 - 0.999)))
    assert bonus == pytest.approx([0.0] * 4 + [0.05] * 5 + [0.1] * 7, abs=1e-9)
    list(steps(controller, [2.0, 2.0 * 0.999]))
    assert controller.rewards[-1] == pytest.approx(math.tanh(10 * (1 - 0.999))), "a step back begins the count again"


def test_rewards_stay_within_one() -> None:
    controller = OriginalController(OriginalOptions(), 0)
    for _ in steps(controller, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.001, 1e6, 1e-6, 1e6], norm=50.0):
        assert all(abs(reward) <= 1 for reward in controller.rewards)


def test_it_acts_from_the_third_loss_on() -> None:
    controller = OriginalController(OriginalOptions(q_epsilon=1.0), 0)
    made = list(steps(controller, [3.0, 2.0, 1.0]))
    assert made[:2] == [Scales(), Scales()] and controller.table.choices == 1


def test_each_choice_is_learned_from_by_the_loss_that_follows_it() -> None:
    controller = OriginalController(OriginalOptions(), 0)
    list(steps(controller, [3.0, 3.0, 3.0]))
    ((state, entry),) = controller.table.entries.items()
    (chosen,) = [controller._last]
    list(steps(controller, [2.7]))
    reward = math.tanh(10 * 0.3 / 3)
    for values, action in zip(entry.values, chosen[1], strict=True):
        assert values[action] == pytest.approx(step_size(0.1, reward) * reward)
        assert sum(map(abs, values)) == pytest.approx(abs(values[action]))
    assert chosen[0] == state


# The table


def test_the_update_is_the_equation() -> None:
    table = QTable(OriginalOptions(), (2, 3), 0)
    table.learn((0,), (1, 2), 1.0, (1,))
    alpha = 0.1 * (1 + 0.05 * math.tanh(1.0))
    assert table.entries[(0,)].values == [[0.0, pytest.approx(alpha)], [0.0, 0.0, pytest.approx(alpha)]]
    table.entries[(1,)].values[0][0] = 2.0
    table.learn((0,), (1, 0), -0.5, (1,))
    first = -0.5 + 0.9 * 2.0 - alpha
    expected = alpha + 0.1 * (1 + 0.05 * math.tanh(abs(first))) * first
    assert table.entries[(0,)].values[0][1] == pytest.approx(expected)
    assert table.entries[(0,)].values[1][0] == pytest.approx(-0.5 * 0.1 * (1 + 0.05 * math.tanh(0.5)))


def test_no_step_is_more_than_half_the_way() -> None:
    assert step_size(0.49, 100.0) == 0.5 and step_size(1.0, 0.0) == 0.5 and step_size(0.1, 0.0) == 0.1


def test_the_least_used_state_goes_and_of_these_the_oldest() -> None:
    table = QTable(OriginalOptions(), (2,), 0, capacity=3)
    for state in [(0,), (0,), (1,), (2,), (2,), (3,)]:
        table.choose(state)
    assert set(table.entries) == {(0,), (2,), (3,)}
    table.choose((3,))
    table.choose((4,))
    assert set(table.entries) == {(2,), (3,), (4,)}


@given(st.lists(st.integers(0, 30), max_size=80))
def test_a_table_never_grows_beyond_its_capacity(states: list[int]) -> None:
    table = QTable(OriginalOptions(), (2,), 0, capacity=7)
    for before, after in zip(states, states[1:], strict=False):
        table.choose((before,))
        table.learn((before,), (1,), 1.0, (after,))
        assert len(table.entries) <= 7


def test_chance_fades_to_its_floor() -> None:
    table = QTable(OriginalOptions(), (2,), 0)
    assert table.epsilon == 0.2
    table.choose((0,))
    assert table.epsilon == pytest.approx(0.2 * 0.995)
    table.choices = 10_000
    assert table.epsilon == 0.05


def test_without_chance_the_best_action_is_taken_and_with_it_every_action() -> None:
    table = QTable(OriginalOptions(**GREEDY), (4,), 0)
    table.choose((0,))
    table.entries[(0,)].values[0] = [0.0, 0.1, 0.3, 0.2]
    assert {table.choose((0,)) for _ in range(50)} == {(2,)}
    chance = QTable(OriginalOptions(q_epsilon=1.0, q_epsilon_decay=1.0), (4,), 0)
    assert {chance.choose((0,)) for _ in range(100)} == {(0,), (1,), (2,), (3,)}


# What they may do


def optimizers() -> dict[str, torch.optim.Optimizer]:
    weights = nn.Parameter(torch.ones(3))
    return {
        "sgd": torch.optim.SGD([weights], 0.01, momentum=0.9),
        "plain sgd": torch.optim.SGD([weights], 0.01),
        "adamw": torch.optim.AdamW([weights], 0.01, (0.9, 0.95)),
        "rmsprop": torch.optim.RMSprop([weights], 0.01, momentum=0.8),
    }


@pytest.mark.parametrize("name", optimizers())
def test_factors_reach_the_optimiser_for_one_step_only(name: str) -> None:
    optimizer = optimizers()[name]
    groups = optimizer.param_groups
    kept = [{k: v for k, v in group.items() if k != "params"} for group in groups]
    before = steer(groups, Scales(1.1, 0.95), original.LIMITS)
    (group,) = groups
    assert group["lr"] == pytest.approx(0.011)
    beta = group["betas"][0] if "betas" in group else group["momentum"]
    first = {"sgd": 0.9, "plain sgd": 0.0, "adamw": 0.9, "rmsprop": 0.8}[name]
    assert beta == pytest.approx(0.95 * first)
    assert "betas" not in group or group["betas"][1] == 0.95
    release(groups, before)
    assert [{k: v for k, v in group.items() if k != "params"} for group in groups] == kept


def test_groups_keep_their_ratio_and_frozen_ones_stay_frozen() -> None:
    weights = [nn.Parameter(torch.ones(1)) for _ in range(3)]
    groups = [{"params": [w], "lr": rate} for w, rate in zip(weights, (1e-2, 1e-3, 0.0), strict=True)]
    optimizer = torch.optim.AdamW(groups)
    steer(optimizer.param_groups, Scales(1.25), Limits())
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1.25e-2, 1.25e-3, 0.0])
    steer(optimizer.param_groups, Scales(0.9), original.LIMITS)
    assert optimizer.param_groups[2]["lr"] == 0.0


@given(losses, norms, st.floats(1e-12, 10), st.floats(0.01, 0.9999), st.integers(0, 3))
def test_the_originals_rates_and_momenta_stay_within_the_clips(values, norm, rate, beta, number) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], rate, momentum=beta)
    controller = OriginalController(OriginalOptions(q_epsilon=0.5), number)
    for value in values:
        before = steer(
            optimizer.param_groups, controller.act(lambda value=value: value, norm, rate, beta), controller.limits
        )
        assert 1e-8 <= optimizer.param_groups[0]["lr"] <= 0.1
        assert 0.5 <= optimizer.param_groups[0]["momentum"] <= 0.999
        release(optimizer.param_groups, before)


@given(losses, st.integers(0, 3))
def test_the_originals_rate_never_leaves_a_tenth_around_its_base(values: list[float], number: int) -> None:
    for scales in steps(OriginalController(OriginalOptions(q_epsilon=0.5), number), values):
        assert 0.9 <= scales.learning_rate <= 1.1 and 0.95 <= scales.momentum <= 1.02


@given(losses, st.integers(0, 3), st.booleans())
def test_the_mended_rate_stays_within_a_hundred_times_its_base(values: list[float], number: int, chance: bool) -> None:
    options = RandomOptions(every=1) if chance else MendedOptions(every=1)
    for scales in steps(make_controller(options, number), values):
        assert 0.01 - 1e-12 <= scales.learning_rate <= 100 + 1e-9 and scales.momentum == 1


def test_the_mended_actions_accumulate_up_to_the_limit() -> None:
    controller = MendedController(MendedOptions(every=2, **GREEDY), 0)
    controller.table.choose((0,))
    controller.table.entries[(0,)].values[0] = [0.0, 0.0, 9.0]
    made = [scales.learning_rate for scales in steps(controller, [1.0] * 60)]
    assert made[:6] == pytest.approx([1.25, 1.25, 1.25**2, 1.25**2, 1.25**3, 1.25**3])
    assert made[-1] == pytest.approx(100.0)


def test_it_learns_which_way_to_go() -> None:
    """The log loss falls by the factor it has chosen: up is best, and it goes up; where it rises, down."""
    for sign in (1, -1):
        ends = []
        for number in range(5):
            controller = MendedController(MendedOptions(every=1), number)
            value = 100.0
            for _ in range(60):
                scales = controller.act(lambda value=value: value, 1.0, 1e-3, 0.9)
                value *= math.exp(-0.01 * scales.learning_rate**sign)
            ends.append(sign * math.log(scales.learning_rate))
        assert sum(end > 0 for end in ends) == 5


# The mended reward


@pytest.mark.parametrize(
    ("before", "now", "diverged", "reward"),
    [
        (math.log(4.0), math.log(3.0), False, math.log(4 / 3)),
        (math.log(3.0), math.log(4.0), True, -math.log(4 / 3) - 1),
        (0.0, 5.0, True, -2.0),
        (0.0, math.inf, True, -2.0),
        (math.inf, 0.0, False, 1.0),
        (math.inf, math.inf, True, -1.0),
    ],
)
def test_the_mended_reward_is_the_fall_of_the_log_loss(before, now, diverged, reward) -> None:
    assert mended.reward(before, now, diverged) == pytest.approx(reward)


def test_what_it_learns_is_the_reward_over_the_usual_one() -> None:
    controller = MendedController(MendedOptions(every=1, q_discount=0.0, **GREEDY), 0)
    probes = [4.0, 3.0, 2.0, 1.9]
    rewards, usual, learned = [], None, {0: 0.0, 1: 0.0, 2: 0.0}
    last = None
    for before, value in zip([None, *probes], probes, strict=False):
        if last is not None:
            rewards.append(math.log(before / value))
            usual = rewards[0] if usual is None else usual
            difference = rewards[-1] - usual - learned[last]
            learned[last] += step_size(0.1, difference) * difference
            usual = (usual + rewards[-1]) / 2
        controller.act(lambda value=value: value, 1.0, 1e-3, 0.9)
        last = controller._last[1][0]
    assert controller.table.entries[(0,)].values[0] == pytest.approx(list(learned.values()))
    assert controller.reward == pytest.approx(rewards[-1]) and controller.usual == pytest.approx(usual)


@pytest.mark.parametrize("what", ["probe", "skipped", "risen"])
def test_divergence_is_punished_and_seen(what: str) -> None:
    controller = MendedController(MendedOptions(every=2), 0)
    list(steps(controller, [2.0, 2.0]))
    if what == "skipped":
        list(steps(controller, [2.0], norm=math.nan))
    else:
        list(steps(controller, [math.nan if what == "probe" else 2.3]))
    expected = {"probe": -2.0, "skipped": -1.0, "risen": -math.log(2.3 / 2) - 1}[what]
    assert controller.reward == pytest.approx(expected) and controller._last[0] == (1,)


def test_it_measures_at_every_mth_step_only() -> None:
    controller, asked = MendedController(MendedOptions(every=5), 0), []
    for step in range(12):
        controller.act(lambda step=step: asked.append(step) or 1.0, 1.0, 1e-3, 0.9)
    assert asked == [0, 5, 10]


def test_what_is_drawn_at_random_does_not_depend_on_the_losses() -> None:
    falling, rising = (
        list(steps(make_controller(RandomOptions(every=1), 3), [base**n for n in range(40)])) for base in (0.9, 1.1)
    )
    assert falling == rising and len({scales.learning_rate for scales in falling}) > 5


# Repeatable


VARIANTS: list[ControllerOptions] = [OriginalOptions(), MendedOptions(every=3), RandomOptions(every=3)]


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: o.name)
def test_its_seed_decides_its_actions(options: ControllerOptions) -> None:
    values = [2 + math.sin(n) for n in range(90)]
    one, same, other = (list(steps(make_controller(options, number), values)) for number in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: o.name)
@pytest.mark.parametrize("cut", [0, 1, 2, 4, 38])
def test_a_stored_controller_goes_on_as_if_it_had_not_been(options: ControllerOptions, cut: int) -> None:
    """Also between a step that was left out and the action that answers it."""
    seen = [(2 + 0.01 * math.sin(n), math.nan if n == 37 else 1.0) for n in range(90)]

    def drive(controller: Controller, part: list[tuple[float, float]]) -> list[Scales]:
        return [scales for value, norm in part for scales in steps(controller, [value], norm)]

    whole, first, second = (make_controller(options, 1) for _ in range(3))
    expected = drive(whole, seen)
    begun = drive(first, seen[:cut])
    second.restore(json.loads(json.dumps(first.state())))
    assert begun + drive(second, seen[cut:]) == expected
    assert second.state() == whole.state() and second.told() == whole.told()


# In a run


class Rates(TrainerCallback):
    """What the optimiser has while it steps, and what it has afterwards."""

    def __init__(self) -> None:
        self.inside: list[tuple[float, float]] = []
        self.after: list[tuple[float, float]] = []
        self.logs: list[dict[str, float]] = []

    @staticmethod
    def of(optimizer: Any) -> tuple[float, float]:
        group = optimizer.param_groups[0]
        return group["lr"], group["betas"][0] if "betas" in group else group["momentum"]

    def on_train_begin(self, args, state, control, optimizer, **kwargs):
        optimizer.optimizer.register_step_pre_hook(lambda o, *_: self.inside.append(self.of(o)))

    def on_step_end(self, args, state, control, optimizer, **kwargs):
        self.after.append(self.of(optimizer))

    def on_log(self, args, state, control, logs, **kwargs):
        self.logs += [dict(logs)] if "loss" in logs else []


OPTIMIZERS = {
    "sgd": ["training.optim=sgd", "training.optim_args='momentum=0.9'"],
    "adamw": ["training.optim=adamw_torch"],
}
SETTINGS = {
    "original": "qcontroller={name: original, q_epsilon: 1}",
    "mended": "qcontroller={name: mended, every: 2}",
    "random": "qcontroller={name: random, every: 2}",
}


@pytest.mark.parametrize(("name", "optim"), [("original", "sgd"), ("mended", "sgd"), ("original", "adamw")])
def test_it_steers_any_optimiser_on_top_of_any_schedule(tiny: Tiny, tmp_path: Path, name: str, optim: str) -> None:
    seen = Rates()
    recipe = tiny("nano-causal", *SHORT, SETTINGS[name], "seed=2", *OPTIMIZERS[optim])
    train(recipe, tmp_path / "run", callbacks=[seen])
    schedule = [row["learning_rate"] for row in seen.logs]
    factors = [row["controller.factor"] for row in seen.logs]
    assert len(seen.inside) == len(schedule) == 8 and len(set(factors)) > 2
    for (rate, beta), row in zip(seen.inside, seen.logs, strict=True):
        assert rate == pytest.approx(row["controller.learning_rate"])
        assert beta == pytest.approx(0.9 * row.get("controller.momentum_factor", 1.0))
    bases = [0.0, *(rate for rate, _ in seen.after[:-1])]
    assert [rate for rate, _ in seen.inside] == pytest.approx(
        [b * f for b, f in zip(bases, factors, strict=True)], rel=1e-5
    )
    assert {beta for _, beta in seen.after} == {0.9}
    plain = Rates()
    train(tiny("nano-causal", *SHORT, "seed=2", *OPTIMIZERS[optim]), tmp_path / "plain", callbacks=[plain])
    assert plain.after == seen.after and not any(key.startswith("controller.") for row in plain.logs for key in row)


class StopAt(monitor.Interrupt):
    def on_step_end(self, args, state, control, **kwargs):
        self.asked = state.global_step == 5
        super().on_step_end(args, state, control, **kwargs)


@pytest.mark.parametrize(("name", "optim"), [("original", "sgd"), ("mended", "adamw")])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, optim: str
) -> None:
    recipe = tiny("nano-masked", *SHORT, SETTINGS[name], *OPTIMIZERS[optim])
    train(recipe, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("unmask.training.train.Interrupt", StopAt)
        train(recipe, tmp_path / "halves")
    train(recipe, tmp_path / "halves", resume=True)
    ends = [tmp_path / run / "checkpoints" / "checkpoint-8" for run in ("whole", "halves")]
    whole, halves = (load_file(end / "model.safetensors") for end in ends)
    assert all(torch.equal(whole[key], halves[key]) for key in whole)
    one, other = (json.loads((end / "qcontroller.json").read_text()) for end in ends)
    assert one == other and one["table"]["choices"] > 2


def test_measuring_changes_nothing(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With actions that do nothing the run is, dropout and all, the one without a controller."""
    monkeypatch.setattr(mended, "ACTIONS", (0.0, 0.0, 0.0))
    train(tiny("nano-masked", *SHORT, SETTINGS["mended"]), tmp_path / "with")
    train(tiny("nano-masked", *SHORT), tmp_path / "without")
    one, other = (load_file(tmp_path / run / "raw" / "model.safetensors") for run in ("with", "without"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_probe_is_measured_with_the_same_noise_every_time(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a learning rate of next to nothing the probe's loss stands still, while the steps' losses do not."""
    seen = Rates()
    given = (
        *SHORT,
        "training.learning_rate=1e-30",
        "process.curriculum_start=0.1",
        "qcontroller={name: mended, every: 1}",
    )
    train(tiny("nano-masked", *given), tmp_path / "run", callbacks=[seen])
    assert len({row["controller.probe"] for row in seen.logs}) == 1
    assert len({row["loss"] for row in seen.logs}) == 8


def test_the_probe_has_no_curriculum_no_dropout_and_no_gradient() -> None:
    asked = []

    class Told:
        def loss(self, model, batch, number, progress):
            asked.append((batch, number, progress, model.training, torch.is_grad_enabled()))
            return {"loss": torch.tensor(2.0)}

    model = nn.Dropout()
    assert probe_loss(Told(), model, "batch", 7) == 2.0
    assert asked == [("batch", 7, 1.0, False, False)] and model.training


# In a recipe


def test_there_is_none_unless_asked_for(tiny: Tiny, tmp_path: Path) -> None:
    recipe = tiny("nano-causal", *SHORT)
    assert recipe.qcontroller is None and "qcontroller" not in recipe.model_dump()
    run = train(recipe, tmp_path / "run")
    assert not list(run.path.rglob("qcontroller.json"))


@pytest.mark.parametrize("name", ["original", "mended", "random"])
def test_a_name_alone_is_a_controller_and_reads_back_resolved(name: str, tmp_path: Path) -> None:
    recipe = load_recipe("nano-causal", [f"qcontroller={name}"])
    assert recipe.qcontroller is not None and recipe.qcontroller.name == name
    (tmp_path / "mine.yaml").write_text(recipe.to_yaml())
    again = load_recipe(tmp_path / "mine.yaml")
    assert again == recipe and type(again.qcontroller) is type(recipe.qcontroller)
    assert "every: 25" in recipe.to_yaml() or name == "original"


def test_the_originals_names_have_the_originals_values() -> None:
    given = load_recipe("nano-causal", ["qcontroller=original"]).qcontroller.model_dump()
    assert given == {
        "name": "original",
        "q_learning_rate": 0.1,
        "q_discount": 0.9,
        "q_epsilon": 0.2,
        "q_epsilon_decay": 0.995,
        "q_min_epsilon": 0.05,
    }


def test_single_keys_can_be_overridden_and_another_name_takes_none_of_them() -> None:
    given = ["qcontroller=mended", "qcontroller.every=7", "qcontroller.q_epsilon=0.3"]
    assert load_recipe("nano-causal", given).qcontroller == MendedOptions(every=7, q_epsilon=0.3)
    assert load_recipe("nano-causal", [*given, "qcontroller=original"]).qcontroller == OriginalOptions()
    assert load_recipe("nano-causal", [*given, "qcontroller=null"]).qcontroller is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "qcontroller=originals",
            "recipe key qcontroller is 'originals'; name one of: original, mended, random. Did you mean",
        ),
        ("qcontroller=3", "recipe key qcontroller is '3'; name one of: original, mended, random."),
        ("qcontroller.every=3", "recipe key qcontroller is {'every': 3}; name one of: original, mended, random."),
        (
            "qcontroller={name: original, every: 3}",
            "unknown recipe key qcontroller.every. It is an option of qcontroller mended, random.",
        ),
        (
            "qcontroller={name: mended, q_epsilo: 1}",
            "unknown recipe key qcontroller.q_epsilo. Did you mean 'q_epsilon'?",
        ),
        ("qcontroller={name: mended, every: 0}", "recipe key qcontroller.every is 0"),
        (
            "qcontroller={name: original, q_discount: 1}",
            "recipe key qcontroller.q_discount is 1: Input should be less than 1",
        ),
        ("qcontroller={name: original, q_learning_rate: .nan}", "recipe key qcontroller.q_learning_rate is nan"),
        (
            "qcontroller={name: original, q_epsilon: 0.01}",
            "recipe key qcontroller.q_min_epsilon is 0.05: it is above q_epsilon 0.01; lower it",
        ),
    ],
)
def test_a_wrong_key_or_value_is_answered_with_the_fix(override: str, message: str) -> None:
    with pytest.raises(Error) as error:
        load_recipe("nano-causal", [override])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_name_comes_with_the_one_of_the_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("base: nano-causal\nqcontroller: mended\n")
    (tmp_path / "mine.yaml").write_text("base: base.yaml\nqcontroller: {every: 9}\n")
    assert load_recipe(tmp_path / "mine.yaml").qcontroller == MendedOptions(every=9)


def test_the_old_name_of_the_original_is_read_and_warns(tmp_path: Path) -> None:
    for old in ("seed", "{name: seed, q_epsilon: 0.5}"):
        with pytest.warns(DeprecationWarning, match="qcontroller: seed is now called qcontroller: original"):
            recipe = load_recipe("nano-causal", [f"qcontroller={old}"])
        assert isinstance(recipe.qcontroller, OriginalOptions) and "seed: 0" in recipe.to_yaml()
        assert "name: original" in recipe.to_yaml()
