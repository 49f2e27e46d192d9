"""A recipe's training section as ``transformers.TrainingArguments``."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks

from unmask.errors import Error
from unmask.training import checkpoints
from unmask.training.hardware import use_bf16
from unmask.training.recipe import Recipe


def trainer_arguments(recipe: Recipe, folder: Path) -> TrainingArguments:
    """Return the Trainer's arguments for a recipe.

    Raises:
        Error: a training section that the Trainer refuses.
    """
    ours = {"valid_blocks", "ema", "precision", "save_total_limit", "plot_every", "epochs", "detect_anomaly", "threads"}
    given = {k: v for k, v in recipe.training.model_dump().items() if k not in ours}
    defaults = {
        "report_to": "none",
        "optim": "adamw_torch_fused",
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "use_cpu": not (torch.cuda.is_available() or torch.backends.mps.is_available()),
        "per_device_eval_batch_size": recipe.training.per_device_train_batch_size,
        "save_strategy": "steps",
        "eval_strategy": "steps" if recipe.training.valid_blocks else "no",
    }
    fixed = {
        "output_dir": str(folder / "checkpoints" / checkpoints.PARTIAL),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "bf16": use_bf16(recipe.training.precision),
        "remove_unused_columns": False,
        "train_sampling_strategy": "sequential",
        "dataloader_drop_last": True,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "save_total_limit": None,
    }
    try:
        arguments = TrainingArguments(**{**defaults, **given, **fixed})
        if arguments.dataloader_num_workers < 0 or arguments.per_device_eval_batch_size < 1:
            raise ValueError("dataloader_num_workers must be 0 or more, per_device_eval_batch_size 1 or more")
        for tracker in get_reporting_integration_callbacks(arguments.report_to):
            tracker()  # refuses one that is not installed
    except (TypeError, ValueError, ImportError, RuntimeError, OSError) as error:
        raise Error(f"the training section is not valid: {first_line(error)}") from error
    return arguments


def first_line(error: Exception) -> str:
    """Return the first line of what an exception says."""
    return str(error).strip().split("\n")[0]
