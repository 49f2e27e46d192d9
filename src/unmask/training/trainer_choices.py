"""Which of the Trainer's arguments a recipe may set, to what, and what to do instead of those that change nothing here.

What is listed as used has been tried (``tests/training/test_trainer_choices.py`` trains with each choice). What the
loop of :class:`unmask.training.trainer.ProcessTrainer` does not honour is refused and never silently left out, and so
is a field of a ``transformers`` that is newer than this list.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt
from pydantic import AllowInfNan

_Count = Annotated[int, Ge(1)]
_Whole = Annotated[int, Ge(0)]
_Number = Annotated[float, AllowInfNan(False)]
_Above = Annotated[_Number, Ge(0)]
_Share = Annotated[float, Ge(0), Lt(1)]
_When = Literal["no", "steps"]
_Level = Literal["passive", "debug", "info", "warning", "error", "critical"]
_Shape = Literal["linear", "cosine", "1-sqrt"]

OFF = "none"
"""What ``report_to`` says where there is no tracker."""
TRACKERS = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "mlflow": ("mlflow",)}
"""Tracker -> the packages of which it needs one."""

OPTIMIZERS: dict[str, dict[str, type]] = {
    "adamw_torch": {},
    "adamw_torch_fused": {},
    "adafactor": {},
    "adagrad": {"lr_decay": float, "eps": float},
    "rmsprop": {"momentum": float, "alpha": float, "eps": float, "centered": bool},
    "sgd": {"momentum": float, "dampening": float, "nesterov": bool},
}
"""``optim`` -> what ``optim_args`` may set of it."""
ADAM = ("adamw_torch", "adamw_torch_fused")
"""Optimisers that ``adam_beta1`` and ``adam_epsilon`` are for; the last is the default."""

_PLATEAU: dict[str, Any] = {
    "mode": Literal["min"],
    "factor": Annotated[float, Gt(0), Lt(1)],
    "patience": _Whole,
    "threshold": _Number,
    "threshold_mode": Literal["rel", "abs"],
    "cooldown": _Whole,
    "min_lr": _Above,
    "eps": _Above,
}
_MINIMUM: dict[str, Any] = {"num_cycles": _Above, "min_lr": _Above, "min_lr_rate": _Above}
SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {},
    "cosine": {"num_cycles": _Above},
    "cosine_with_restarts": {"num_cycles": _Above},
    "polynomial": {"lr_end": _Above, "power": _Number},
    "constant": {},
    "constant_with_warmup": {},
    "inverse_sqrt": {"timescale": _Count},
    "reduce_lr_on_plateau": _PLATEAU,
    "cosine_with_min_lr": _MINIMUM,
    "cosine_warmup_with_min_lr": _MINIMUM | {"warmup_lr_rate": _Above},
    "warmup_stable_decay": {
        "num_decay_steps": _Whole,
        "num_stable_steps": _Whole,
        "warmup_type": _Shape,
        "decay_type": _Shape,
        "min_lr_ratio": _Above,
        "num_cycles": _Above,
    },
    "greedy": _PLATEAU
    | {
        "warmup": _Whole,
        "max_lr": Annotated[_Number, Gt(0)],
        "smooth": bool,
        "window_size": _Count,
        "reset_start": _Whole,
    },
}
"""``lr_scheduler_type`` -> what ``lr_scheduler_kwargs`` may set of it."""
BY_LOSS = ("reduce_lr_on_plateau", "greedy")
"""Schedules that follow the held-out loss."""
DEFAULT_SCHEDULE = "cosine_with_min_lr"
DEFAULT_SCHEDULES: dict[str, dict[str, Any]] = {
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1},
}
"""``lr_scheduler_type`` -> ``lr_scheduler_kwargs`` where a recipe gives none."""

USED: dict[str, Any] = {
    "optim": str,
    "optim_args": str | None,
    "adam_beta1": _Share,
    "adam_epsilon": Annotated[_Number, Gt(0)],
    "activation_checkpointing": bool | None,
    "activation_checkpointing_kwargs": dict[str, Any] | None,
    "gradient_checkpointing": bool | None,
    "gradient_checkpointing_kwargs": dict[str, Any] | None,
    "torch_compile": bool,
    "torch_compile_backend": str | None,
    "torch_compile_mode": Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] | None,
    "torch_empty_cache_steps": _Count | None,
    "logging_strategy": _When,
    "logging_first_step": bool,
    "log_on_each_node": bool,
    "log_level": _Level,
    "log_level_replica": _Level,
    "report_to": str | list[str] | None,
    "run_name": str | None,
    "eval_strategy": _When,
    "eval_delay": _Above,
    "eval_on_start": bool,
    "per_device_eval_batch_size": _Count,
    "save_strategy": _When,
    "full_determinism": bool,
    "use_cpu": bool,
    "tf32": bool | None,
    "dataloader_num_workers": _Whole,
    "dataloader_pin_memory": bool,
    "dataloader_persistent_workers": bool,
    "dataloader_prefetch_factor": _Count | None,
    "dataloader_multiprocessing_context": Literal["fork", "spawn", "forkserver"] | None,
    "ddp_find_unused_parameters": bool | None,
    "ddp_bucket_cap_mb": _Count | None,
    "ddp_broadcast_buffers": bool | None,
    "ddp_backend": Literal["nccl", "gloo"] | None,
    "ddp_timeout": _Count,
}
"""Field -> its values. The keys of ours that are also the Trainer's are in ``TrainingSection``."""

_SPLIT = "several devices hold a copy of the network each: torchrun --nproc-per-node N -m unmask train"
_BEST = "a run keeps its last weights, and their average (training.ema)"
_EVALUATION = "the held-out score is the process's own likelihood"
_ORDER = "the order of the examples is a function of the recipe's seed, so that a run resumes exactly"
_HUB = "nothing is uploaded while a run trains; afterwards: unmask export RUN"
_WHOLE = "checkpoints are whole, so that a run resumes to the same weights"
_LINE = "progress is one line of unmask's own"
_FIELDS: dict[str, tuple[str, ...]] = {
    "set training.epochs": ("num_train_epochs",),
    "the loss is the process's own, of the labels as they are": ("label_smoothing_factor", "label_names"),
    "the loss of a batch is divided by a constant on every device": ("average_tokens_across_devices",),
    "the networks are unmask's own": ("use_liger_kernel", "liger_kernel_config", "use_cache"),
    "noise is the process's, drawn from the recipe's seed; set backbone.dropout": ("neftune_noise_alpha",),
    "set training.per_device_train_batch_size, or accumulate (training.accumulation)": ("auto_find_batch_size",),
    "what cannot be trained on is left out and counted (gradient.skipped); training.detect_anomaly finds its cause": (
        "logging_nan_inf_filter",
        "debug",
    ),
    "metrics.jsonl counts tokens": ("include_num_input_tokens_seen",),
    "unmask train --dry-run estimates the memory": ("skip_memory_metrics",),
    "the precision of training is kept (training.precision)": ("bf16_full_eval", "fp16_full_eval"),
    "only low-rank optimisers use it, and unmask has been tried with none": ("optim_target_modules",),
    "trackers are " + ", ".join(TRACKERS): (
        "project",
        "trackio_space_id",
        "trackio_bucket_id",
        "trackio_static_space_id",
    ),
    "Ctrl-C and SIGTERM save a checkpoint already": ("enable_jit_checkpoint",),
    "the command says it (train, evaluate)": ("do_predict",),
    "torchrun says it": ("local_rank",),
    "two processes would learn other weights than one": ("ddp_static_graph",),
    _SPLIT: ("fsdp", "fsdp_config", "deepspeed", "parallelism_config", "accelerator_config"),
    _BEST: ("load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
    _EVALUATION: (
        "prediction_loss_only",
        "eval_do_concat_batches",
        "eval_use_gather_object",
        "eval_accumulation_steps",
        "include_for_metrics",
        "batch_eval_metrics",
    ),
    _ORDER: (
        "ignore_data_skip",
        "dataloader_drop_last",
        "dataloader_in_order",
        "remove_unused_columns",
        "train_sampling_strategy",
        "length_column_name",
    ),
    _WHOLE: ("save_only_model", "save_on_each_node", "restore_callback_states_from_checkpoint"),
    _HUB: (
        "push_to_hub",
        "hub_token",
        "hub_private_repo",
        "hub_model_id",
        "hub_strategy",
        "hub_always_push",
        "hub_revision",
    ),
    _LINE: ("disable_tqdm",),
}
REFUSED = {name: why for why, names in _FIELDS.items() for name in names}
"""Field that changes nothing here -> why, and what to do instead."""

FORMER = {
    "warmup_ratio": "set training.warmup_steps to a share of the steps, such as 0.1",
    "logging_dir": "TensorBoard's files are in the run's folder; TENSORBOARD_LOGGING_DIR names another",
    "evaluation_strategy": "set training.eval_strategy",
    "group_by_length": _ORDER,
    "save_safetensors": "weights are always safetensors",
    "no_cuda": "set training.use_cpu",
    "use_mps_device": "set training.use_cpu=false",
    "include_tokens_per_second": "metrics.jsonl counts tokens a second",
    "include_inputs_for_metrics": _EVALUATION,
    "overwrite_output_dir": "no run is overwritten; give another --output",
    "past_index": "the networks are unmask's own",
    "per_gpu_train_batch_size": "set training.per_device_train_batch_size",
    "per_gpu_eval_batch_size": "set training.per_device_eval_batch_size",
    "dispatch_batches": _ORDER,
    "split_batches": _ORDER,
    "half_precision_backend": "set training.precision",
    "fp16_opt_level": "set training.precision",
    "torchdynamo": "set training.torch_compile_backend",
    "push_to_hub_model_id": _HUB,
    "push_to_hub_token": _HUB,
}
"""Fields that earlier versions of ``transformers`` had -> what to do instead."""
