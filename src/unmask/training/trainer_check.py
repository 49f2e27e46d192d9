"""Is a recipe's training section one that the loop honours to the letter? Known without torch, before anything is made.

Asked of what a user gives (:func:`unmask.training.recipe.load_recipe`), not of the recipes that stored runs hold: those
have trained already.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from unmask.errors import Error, nearest
from unmask.training.options import explain
from unmask.training.sections import MOST_STEPS, TrainingSection
from unmask.training.trainer_choices import (
    ADAM,
    BY_LOSS,
    OFF,
    OPTIMIZERS,
    REFUSED,
    SCHEDULES,
    TRACKERS,
    USED,
)


def check_trainer(training: TrainingSection) -> None:
    """Refuse what the loop would ignore, and choices that do not exist, cannot be had here or do not go together.

    Raises:
        Error: which key, and what to do.
    """
    given = training.model_extra or {}
    for name, value in given.items():
        if name not in USED:
            why = REFUSED.get(name, "unmask has not been tried with it")
            raise Error(f"recipe key training.{name} would change nothing: {why}; leave it out.")
        _check_value(USED[name], value, f"training.{name}")
    _check_schedule(training)
    _check_optimizer(given)
    trackers(given)
    _check_pairs(training, given)


def trackers(given: Mapping[str, Any]) -> list[str]:
    """Return the trackers that a training section names.

    Raises:
        Error: one that unmask does not know, or whose package is not installed.
    """
    named = given.get("report_to") or []
    names = [named] if isinstance(named, str) else list(named)
    if names == [OFF]:
        return []
    for name in names:
        _choice("report_to", name, [*TRACKERS, OFF])
        if name == OFF:
            raise Error(f"training.report_to names {OFF!r} beside a tracker; leave one out.")
        if not any(_installed(package) for package in TRACKERS[name]):
            raise Error(
                f"training.report_to={name}: {name} is not installed; pip install {name}, or leave report_to out "
                "(metrics.jsonl has every number)."
            )
    return list(dict.fromkeys(names))


def _installed(package: str) -> bool:
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None  # a folder of that name, such as W&B's own, is no package


def _check_value(kind: Any, value: Any, *place: str) -> None:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise Error(explain(error, *place)) from error


def _choice(key: str, value: str, known: list[str]) -> None:
    if value not in known:
        raise Error(f"training.{key} is {value!r}.{nearest(value, known)} Choose one of: {', '.join(known)}.")


def _check_schedule(training: TrainingSection) -> None:
    name, given = training.lr_scheduler_type, training.lr_scheduler_kwargs or {}
    _choice("lr_scheduler_type", name, list(SCHEDULES))
    known = SCHEDULES[name]
    for key, value in given.items():
        if key not in known:
            takes = (
                f"It takes {', '.join(known)}." if known else "It takes none; set training.lr_scheduler_kwargs=null."
            )
            raise Error(f"training.lr_scheduler_kwargs has {key!r}, which schedule {name} does not take. {takes}")
        _check_value(known[key], value, "training", "lr_scheduler_kwargs", key)
    if name == "warmup_stable_decay" and "num_decay_steps" not in given:
        raise Error(
            "schedule warmup_stable_decay needs the steps of its decay: -o training.lr_scheduler_kwargs="
            "'{num_decay_steps: 100}'."
        )
    if "min_lr_rate" in known and ("min_lr" in given) == ("min_lr_rate" in given):
        raise Error(f"schedule {name} needs one of min_lr and min_lr_rate in training.lr_scheduler_kwargs.")


def _check_optimizer(given: Mapping[str, Any]) -> None:
    name = given.get("optim", ADAM[-1])
    _choice("optim", name, list(OPTIMIZERS))
    known = OPTIMIZERS[name]
    for part in filter(None, (given.get("optim_args") or "").replace(" ", "").split(",")):
        key, equals, value = part.partition("=")
        if key not in known:
            takes = f"It takes {', '.join(known)}." if known else "It takes none; leave optim_args out."
            raise Error(f"training.optim_args has {key!r}, which {name} does not take. {takes}")
        _check_value(known[key], value if equals else None, "training", "optim_args", key)
    for key in ("adam_beta1", "adam_epsilon"):
        if key in given and name not in ADAM:
            raise Error(f"training.{key} is for {' and '.join(ADAM)}, and training.optim is {name}; leave one out.")


def _check_pairs(training: TrainingSection, given: Mapping[str, Any]) -> None:
    """Refuse keys that need another one."""
    scored = given.get("eval_strategy", "steps") != "no" and training.valid_blocks > 0
    if training.lr_scheduler_type in BY_LOSS and not scored:
        raise Error(
            f"schedule {training.lr_scheduler_type} follows the held-out loss, and nothing is held out; set "
            "training.valid_blocks, and leave training.eval_strategy out."
        )
    for key in ("eval_strategy", "eval_on_start"):
        if given.get(key) not in (None, "no", False) and not training.valid_blocks:
            raise Error(f"training.{key} scores held-out blocks, and training.valid_blocks is 0; leave one out.")
    for key in ("persistent_workers", "prefetch_factor", "multiprocessing_context"):
        if given.get(f"dataloader_{key}") and not given.get("dataloader_num_workers"):
            raise Error(f"training.dataloader_{key} is for workers; set training.dataloader_num_workers to 1 or more.")
    if given.get("run_name") and not trackers(given):
        raise Error("training.run_name is a tracker's name for the run; set training.report_to, or leave it out.")
    on = given.get("activation_checkpointing"), given.get("gradient_checkpointing")
    if None not in on and on[0] != on[1]:
        raise Error("training.gradient_checkpointing is an older name of activation_checkpointing; leave one out.")
    if any(given.get(f"{kind}_checkpointing_kwargs") for kind in ("activation", "gradient")) and not any(on):
        raise Error(
            "training.activation_checkpointing_kwargs needs training.activation_checkpointing=true; set it too."
        )
    if given.get("ddp_backend") and "WORLD_SIZE" not in os.environ:
        raise Error("training.ddp_backend is for several processes; start them with torchrun, or leave it out.")
    asked = training.max_steps * training.per_device_train_batch_size * training.gradient_accumulation_steps
    if asked > MOST_STEPS:
        raise Error(
            f"training.max_steps x per_device_train_batch_size x gradient_accumulation_steps is {asked:,} blocks; "
            f"lower one of them ({MOST_STEPS:,} at most)."
        )
