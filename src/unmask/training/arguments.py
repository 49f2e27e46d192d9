"""A recipe's training section as ``transformers.TrainingArguments``."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, get_scheduler

from unmask.errors import Error
from unmask.training.recipe import Recipe
from unmask.training.sections import MOST_STEPS


def trainer_arguments(recipe: Recipe, folder: Path, bf16: bool | None = None) -> TrainingArguments:
    """Return the Trainer's arguments for a recipe.

    Args:
        recipe: What is trained.
        folder: The run folder.
        bf16: What ``precision`` means here, where that is known (see :mod:`unmask.training.precision`).

    Raises:
        Error: a training section that the Trainer refuses.
    """
    ours = type(recipe.training).model_fields.keys() - {field.name for field in fields(TrainingArguments)}
    given = {k: v for k, v in recipe.training.model_dump().items() if k not in ours}
    defaults = {
        "optim": "adamw_torch_fused",
        "run_name": folder.name,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "use_cpu": not (torch.cuda.is_available() or torch.backends.mps.is_available()),
        "per_device_eval_batch_size": recipe.training.per_device_train_batch_size,
        "save_strategy": "steps",
        "eval_strategy": "steps" if recipe.training.valid_blocks else "no",
    }
    fixed = {
        "output_dir": str(folder / "checkpoints"),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "bf16": recipe.training.precision == "bf16" if bf16 is None else bf16,
        "remove_unused_columns": False,
        "train_sampling_strategy": "sequential",
        "dataloader_drop_last": True,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "save_total_limit": None,
        "report_to": "none",  # trackers are callbacks of ours, see unmask.training.trackers
    }
    try:
        arguments = TrainingArguments(**{**defaults, **given, **fixed})
        try_out(arguments)
    except (ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise Error(f"the training section is not valid: {first_line(error)}") from error
    return arguments


def try_out(arguments: TrainingArguments) -> None:
    """Make the optimiser and the schedule for one parameter, so that neither fails when the text is prepared.

    Raises:
        Error: one that cannot be made, or a schedule with no learning rate at some step.
    """
    if arguments.torch_compile and arguments.torch_compile_backend not in (known := torch.compiler.list_backends(None)):
        raise Error(
            f"training.torch_compile_backend is {arguments.torch_compile_backend!r}; choose one of: {', '.join(known)}."
        )
    model = nn.Linear(1, 1)
    make, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    optimizer = make(model.parameters(), **options)
    steps = arguments.max_steps if arguments.max_steps > 0 else MOST_STEPS  # epochs: known once the text is packed
    warmup = arguments.get_warmup_steps(steps)
    schedule = get_scheduler(arguments.lr_scheduler_type, optimizer, warmup, steps, arguments.lr_scheduler_kwargs)
    for factor in getattr(schedule, "lr_lambdas", ()):
        for step in (0, 1, warmup, warmup + 1, steps):
            try:
                value = factor(step)
            except ArithmeticError:
                value = math.nan
            if isinstance(value, complex) or not 0 <= value < math.inf:
                raise Error(
                    f"schedule {arguments.lr_scheduler_type.value} has no learning rate at step {step} of {steps} "
                    f"({value} times training.learning_rate); change training.warmup_steps ({warmup}) or "
                    "training.lr_scheduler_kwargs."
                )


def first_line(error: Exception) -> str:
    """Return the first line of what an exception says."""
    return str(error).strip().split("\n")[0]
