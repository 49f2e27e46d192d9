"""Every choice of every argument of the Trainer is trained with here, or refused in one line at validation."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from transformers import TrainingArguments
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION, GreedyLR
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames

from unmask.api.train import resolve
from unmask.errors import Error
from unmask.training.arguments import trainer_arguments
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.sections import ALIASES, TrainingSection
from unmask.training.train import train
from unmask.training.trainer_choices import (
    DEFAULT_SCHEDULES,
    FORMER,
    OPTIMIZERS,
    REFUSED,
    SCHEDULES,
    TRACKERS,
    USED,
)
from unmask.training.trainer_keys import ELSEWHERE, trainer_kinds

pytestmark = pytest.mark.strangers

NEEDED = {"warmup_stable_decay": {"num_decay_steps": 1}}
WHOLE: dict[str, dict[str, Any]] = {
    "cosine": {"num_cycles": 1.5},
    "cosine_with_restarts": {"num_cycles": 2},
    "polynomial": {"lr_end": 1e-5, "power": 2},
    "inverse_sqrt": {"timescale": 2},
    "cosine_with_min_lr": {"num_cycles": 0.5, "min_lr": 1e-5},
    "cosine_warmup_with_min_lr": {"min_lr_rate": 0.2, "warmup_lr_rate": 0.1},
    "warmup_stable_decay": {
        "num_decay_steps": 1,
        "num_stable_steps": 1,
        "warmup_type": "cosine",
        "decay_type": "1-sqrt",
        "min_lr_ratio": 0.1,
    },
    "reduce_lr_on_plateau": {"factor": 0.5, "patience": 0, "threshold": 0.1, "cooldown": 0, "min_lr": 1e-6},
    "greedy": {"factor": 0.5, "patience": 1, "min_lr": 1e-6, "max_lr": 0.1, "smooth": True, "window_size": 2},
}
SINGLE = [
    *({"lr_scheduler_type": name, "lr_scheduler_kwargs": NEEDED[name]} for name in NEEDED),
    *({"lr_scheduler_type": name} for name in SCHEDULES if name not in NEEDED),
    *({"lr_scheduler_type": name, "lr_scheduler_kwargs": options} for name, options in WHOLE.items()),
    *({"optim": name} for name in OPTIMIZERS),
    {"optim": "sgd", "optim_args": "momentum=0.9, nesterov=true"},
    {"optim": "sgd", "optim_args": "momentum=0.9,dampening=0.1"},
    {"optim": "rmsprop", "optim_args": "momentum=0.9,alpha=0.9,eps=1e-6,centered=true"},
    {"optim": "adagrad", "optim_args": "lr_decay=0.1,eps=1e-8"},
    {"adam_beta1": 0.5},
    {"adam_epsilon": 1e-6},
    {"activation_checkpointing": True},
    {"activation_checkpointing": True, "activation_checkpointing_kwargs": {"use_reentrant": True}},
    {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}},
    {"torch_empty_cache_steps": 1},
    {"logging_strategy": "no"},
    {"logging_strategy": "steps", "logging_first_step": True},
    {"log_on_each_node": False},
    *({"log_level": level} for level in get_args(USED["log_level"])),
    {"log_level_replica": "error"},
    {"report_to": "none"},
    {"report_to": []},
    {"report_to": None},
    {"eval_strategy": "no"},
    {"eval_strategy": "steps", "eval_steps": 2},
    {"eval_delay": 1},
    {"eval_on_start": True},
    {"per_device_eval_batch_size": 1},
    {"save_strategy": "no"},
    {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1},
    {"full_determinism": True},
    {"use_cpu": True},
    {"tf32": False},
    {"dataloader_num_workers": 1, "dataloader_persistent_workers": True, "dataloader_prefetch_factor": 1},
    {"dataloader_num_workers": 1, "dataloader_multiprocessing_context": "fork"},
    {"dataloader_pin_memory": False},
    {"ddp_find_unused_parameters": True, "ddp_bucket_cap_mb": 1, "ddp_broadcast_buffers": False},
    {"ddp_timeout": 60},
    {"max_grad_norm": 0},
    {"max_grad_norm": math.inf},
    {"warmup_steps": 0.5},
    {"warmup_steps": 100},
    {"weight_decay": 0},
    {"gradient_accumulation_steps": 2},
    {"detect_anomaly": True},
    {"valid_blocks": 0},
    {"ema": None},
    {"precision": "bf16"},
]
COMPILED = [{"torch_compile": True, "torch_compile_backend": "eager"}, {"torch_compile_mode": "default"}]
TRIED_ELSEWHERE = {"run_name", "ddp_backend"}  # test_trackers, test_train (two ranks)


@pytest.fixture
def recipe(tiny: Callable[..., Recipe]) -> Callable[[dict[str, Any]], Recipe]:
    """The tiny recipe with keys of its training section changed, by way of what a user gives."""

    def make(training: dict[str, Any]) -> Recipe:
        tree = tiny("nano-masked", "training.max_steps=2").model_dump(mode="json")
        tree["training"].pop("lr_scheduler_kwargs")
        tree["training"] |= {"warmup_steps": 1} | training
        return resolve(Recipe.model_validate(tree))

    return make


@pytest.fixture
def as_before() -> Any:
    """Put back what a choice sets for the whole process."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    yield
    logging.set_verbosity(level)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "training",
    [*SINGLE, *(pytest.param(given, marks=pytest.mark.slow) for given in COMPILED)],
    ids=lambda given: json.dumps(given)[:70],
)
def test_every_choice_trains_to_finite_weights(recipe, tmp_path, as_before, training) -> None:
    run = train(recipe(training), tmp_path / "run")
    assert run.manifest["status"] == "finished" and run.manifest["steps"] == 2
    assert all(torch.isfinite(weight).all() for weight in run.model().parameters())
    logged = [row for row in run.metrics() if "loss" in row]
    assert logged and all(math.isfinite(row["loss"]) for row in logged)
    scored = training.get("eval_strategy") != "no" and training.get("valid_blocks") != 0
    assert ("valid_bits_per_byte" in run.manifest) == scored
    saved = training.get("save_strategy") != "no"
    assert any((run.path / "checkpoints").glob("checkpoint-*")) == saved


def test_what_is_used_is_tried() -> None:
    tried = {key for training in SINGLE + COMPILED for key in training}
    assert set(USED) <= tried | TRIED_ELSEWHERE
    assert set(SCHEDULES) == {kind.value for kind in SchedulerType}
    assert set(OPTIMIZERS) <= {kind.value for kind in OptimizerNames}


def test_every_field_of_the_trainer_is_used_or_refused() -> None:
    ours = set(TrainingSection.model_fields)
    fields = {field.name for field in dataclasses.fields(TrainingArguments) if field.init}
    assert fields == {*USED, *REFUSED, *ELSEWHERE} | (ours & fields)
    assert not set(USED) & set(REFUSED) and not ours & {*USED, *REFUSED}
    assert not {*FORMER} & {*fields, *ours}
    assert set(trainer_kinds()) >= {*USED, *REFUSED}


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"reduce_lr_on_plateau", "constant_with_warmup", "constant"}))
def test_options_of_a_schedule_are_its_own(name: str) -> None:
    made = GreedyLR if name == "greedy" else TYPE_TO_SCHEDULER_FUNCTION[SchedulerType(name)]
    given = {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch", "self", "verbose"}
    assert set(inspect.signature(made).parameters) - given == set(SCHEDULES[name])


@pytest.mark.parametrize("name", sorted(set(REFUSED) - set(ALIASES["training"])))
def test_what_would_change_nothing_is_refused_with_what_to_do(tiny, name: str) -> None:
    with pytest.raises(Error, match=rf"training\.{name} would change nothing: .*; leave it out\."):
        tiny("nano-masked", f"training.{name}=1")


def test_a_field_that_a_newer_trainer_has_is_refused_and_not_passed_on(tiny, monkeypatch) -> None:
    monkeypatch.setattr("unmask.training.recipe.trainer_kinds", lambda: {"dream": bool})
    with pytest.raises(Error, match=r"training\.dream would change nothing: unmask has not been tried with it"):
        tiny("nano-masked", "training.dream=true")


@pytest.mark.parametrize("name", sorted({kind.value for kind in OptimizerNames} - set(OPTIMIZERS)))
def test_an_optimizer_that_was_not_tried_is_refused(tiny, name: str) -> None:
    with pytest.raises(Error, match=rf"training\.optim is '{name}'.* Choose one of: adamw_torch, adamw_torch_fused, "):
        tiny("nano-masked", f"training.optim={name}")


WRONG = [
    ("eval_strategy=epoch", "Input should be 'no' or 'steps'"),
    ("save_strategy=best", "Input should be 'no' or 'steps'"),
    ("logging_strategy=epoch", "Input should be 'no' or 'steps'"),
    ("lr_scheduler_type=zigzag", "training.lr_scheduler_type is 'zigzag'. Choose one of: linear, "),
    ("lr_scheduler_type=lienar", "Did you mean 'linear'?"),
    ("lr_scheduler_type=warmup_stable_decay", "needs the steps of its decay"),
    ("lr_scheduler_kwargs={min_lr: 0.1, min_lr_rate: 0.1}", "needs one of min_lr and min_lr_rate"),
    ("lr_scheduler_kwargs=null", "needs one of min_lr and min_lr_rate"),
    ("lr_scheduler_kwargs={min_lr_rate: hot}", "training.lr_scheduler_kwargs.min_lr_rate is 'hot'"),
    ("lr_scheduler_kwargs={min_lr_rate: -5}", "training.lr_scheduler_kwargs.min_lr_rate is -5"),
    ("lr_scheduler_kwargs={power: 2}", "'power', which schedule cosine_with_min_lr does not take. It takes num_cycles"),
    ("lr_scheduler_kwargs=[1]", "recipe key training.lr_scheduler_kwargs is [1]"),
    ("optim=adamw_toch", "Did you mean 'adamw_torch'?"),
    ("optim_args=betas=3", "optim_args has 'betas', which adamw_torch_fused does not take"),
    ("report_to=foo", "training.report_to is 'foo'. Choose one of: tensorboard, wandb, mlflow, none."),
    ("report_to=tensorbord", "Did you mean 'tensorboard'?"),
    ("report_to=all", "Choose one of"),
    ("report_to=[none, tensorboard]", "beside a tracker"),
    ("run_name=mine", "set training.report_to, or leave it out"),
    ("eval_delay=-1", "training.eval_delay is -1"),
    ("adam_beta1=1", "training.adam_beta1 is 1"),
    ("adam_epsilon=0", "training.adam_epsilon is 0"),
    ("adam_epsilon=nan", "training.adam_epsilon is nan"),
    ("per_device_eval_batch_size=0", "training.per_device_eval_batch_size is 0"),
    ("dataloader_num_workers=-1", "training.dataloader_num_workers is -1"),
    ("dataloader_persistent_workers=true", "set training.dataloader_num_workers to 1 or more"),
    ("dataloader_prefetch_factor=2", "set training.dataloader_num_workers to 1 or more"),
    ("dataloader_multiprocessing_context=threads", "'fork', 'spawn' or 'forkserver'"),
    ("activation_checkpointing_kwargs={use_reentrant: true}", "set it too"),
    ("ddp_backend=gloo", "start them with torchrun"),
    ("torch_compile_mode=fast", "'reduce-overhead'"),
    ("torch_empty_cache_steps=0", "training.torch_empty_cache_steps is 0"),
    ("log_level=loud", "training.log_level is 'loud'"),
    ("ddp_backend=pigeon", "training.ddp_backend is 'pigeon'"),
    ("warmup_steps=-1", "training.warmup_steps is -1"),
    ("warmup_steps=inf", "training.warmup_steps is inf"),
    ("warmup_ratio=0.1", "set training.warmup_steps to a share of the steps"),
    ("logging_dir=here", "TENSORBOARD_LOGGING_DIR"),
    ("max_steps=-3", "training.max_steps is -3"),
    ("max_steps=2.5", "training.max_steps is 2.5"),
    ("max_steps=1e30", "training.max_steps is 1e+30"),
    ("max_steps=99999999999999999999", "training.max_steps is 99999999999999999999"),
    ("epochs=1e300", "training.epochs is 1e+300"),
    ("per_device_train_batch_size=99999999999", "training.per_device_train_batch_size is 99999999999"),
    ("gradient_accumulation_steps=99999999999", "training.gradient_accumulation_steps is 99999999999"),
    ("threads=1000000", "training.threads is 1000000"),
    ("max_grad_norm=nan", "training.max_grad_norm is nan"),
]


@pytest.mark.parametrize(("override", "answer"), WRONG, ids=[override for override, _ in WRONG])
def test_a_wrong_choice_is_one_line_at_validation(tiny, override: str, answer: str) -> None:
    with pytest.raises(Error) as told:
        tiny("nano-masked", f"training.{override}")
    assert answer in str(told.value) and "\n" not in str(told.value)


PAIRS = [
    ({"valid_blocks": 0, "eval_on_start": True}, "training.valid_blocks is 0"),
    ({"valid_blocks": 0, "eval_strategy": "steps"}, "training.valid_blocks is 0"),
    ({"valid_blocks": 0, "lr_scheduler_type": "greedy"}, "nothing is held out"),
    ({"eval_strategy": "no", "lr_scheduler_type": "reduce_lr_on_plateau"}, "nothing is held out"),
    ({"optim": "sgd", "adam_beta1": 0.5}, "leave one out"),
    ({"optim": "sgd", "optim_args": "momentum"}, "training.optim_args.momentum is None"),
    ({"optim": "sgd", "optim_args": "momentum=fast"}, "training.optim_args.momentum is 'fast'"),
    ({"gradient_checkpointing": True, "activation_checkpointing": False}, "older name"),
    ({"eval_strategy": False}, "put the word in quotes"),
]


@pytest.mark.parametrize(("training", "answer"), PAIRS, ids=lambda given: str(given)[:60])
def test_choices_that_do_not_go_together_are_refused(recipe, training, answer: str) -> None:
    with pytest.raises(Error) as told:
        recipe(training)
    assert answer in str(told.value)


TORCH = [
    ({"optim": "sgd", "optim_args": "momentum=-1"}, "momentum"),
    ({"optim": "sgd", "optim_args": "nesterov=true"}, "Nesterov"),
    ({"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 1.0}}, "lr_end"),
    ({"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": -1}}, "no learning rate at step 2 of 2"),
    ({"lr_scheduler_type": "polynomial", "warmup_steps": 2}, "no learning rate at step 2 of 2"),
    ({"torch_compile": True, "torch_compile_backend": "zig"}, "torch_compile_backend is 'zig'"),
    ({"tf32": True}, "tf32"),
]


@pytest.mark.parametrize(("training", "answer"), TORCH, ids=lambda given: str(given)[:60])
def test_what_only_torch_knows_is_refused_before_the_folder_is_made(recipe, tmp_path, training, answer: str) -> None:
    with pytest.raises(Error) as told:
        train(recipe(training), tmp_path / "run")
    assert answer in str(told.value) and "\n" not in str(told.value) and not (tmp_path / "run").exists()


def test_another_schedule_takes_none_of_its_rivals_options(tmp_path: Path) -> None:
    def kwargs(name: str, *overrides: str) -> Any:
        return load_recipe(name, [f"training.{override}" for override in overrides]).training.lr_scheduler_kwargs

    assert kwargs("nano-causal") == {"min_lr_rate": 0.1}
    assert kwargs("nano-causal", "lr_scheduler_type=linear") is None
    assert kwargs("nano-causal", "lr_scheduler_kwargs={num_cycles: 2}", "lr_scheduler_type=cosine") == {"num_cycles": 2}
    stored = tmp_path / "stored.yaml"
    stored.write_text(load_recipe("nano-causal", ["training.lr_scheduler_kwargs={min_lr_rate: 0.3}"]).to_yaml())
    assert kwargs(str(stored)) == {"min_lr_rate": 0.3}
    assert kwargs(str(stored), "lr_scheduler_type=cosine") is None
    assert kwargs(str(stored), "lr_scheduler_type=cosine_with_min_lr") == {"min_lr_rate": 0.3}
    for name, options in DEFAULT_SCHEDULES.items():
        assert kwargs(str(stored), f"lr_scheduler_type={name}") in (options, {"min_lr_rate": 0.3})


def test_a_stored_run_that_was_trained_with_what_changes_nothing_still_opens(tiny_run: Path, tmp_path: Path) -> None:
    import shutil

    import yaml

    from unmask.training.run import Run

    old = shutil.copytree(tiny_run, tmp_path / "old")
    tree = yaml.safe_load((old / "recipe.yaml").read_text())
    tree["training"]["label_smoothing_factor"] = 0.1
    (old / "recipe.yaml").write_text(yaml.safe_dump(tree))
    assert Run.open(old).model() is not None


def test_trackers_that_are_known_are_the_trainers() -> None:
    from transformers.integrations import get_reporting_integration_callbacks

    assert len(get_reporting_integration_callbacks(list(TRACKERS))) == len(TRACKERS)


def test_a_new_key_of_ours_is_named_in_its_section_alone(tmp_path: Path) -> None:
    class Wider(TrainingSection):
        say_every: int = 5

    recipe = load_recipe("nano-masked")
    wider = recipe.model_copy(update={"training": Wider(**recipe.training.model_dump())})
    assert trainer_arguments(wider, tmp_path).to_dict() == trainer_arguments(recipe, tmp_path).to_dict()
