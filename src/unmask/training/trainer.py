"""``transformers.Trainer`` under a process: our loss, our bound as evaluation, checkpoints that are whole or absent."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from unmask.data.batch import Batch
from unmask.diffusion.network_losses import training_loss
from unmask.diffusion.process import Process
from unmask.training import checkpoints
from unmask.training.ema import EMA
from unmask.training.gradients import IN_A_ROW, GradientMonitor, poisoned
from unmask.training.held_out_blocks import scored_blocks
from unmask.training.monitor import Metrics
from unmask.training.order import as_batch
from unmask.training.qcontroller import callback as steering
from unmask.training.qcontroller.factors import Controller
from unmask.training.qcontroller.probe import probe_loss
from unmask.training.teacher import Teacher

DRAWS = 4
"""Network calls a block behind a bound of held-out text."""


class ProcessTrainer(Trainer):
    """Train a network under a process.

    Args:
        model: The network.
        args: Training arguments.
        process: Says what the network sees and what it must predict.
        bos: Id of BOS.
        seed: Seed of the noise.
        folder: Folder that finished checkpoints are moved to.
        keep: Checkpoints to keep.
        ema: The moving average, or ``None``.
        controller: Steers the optimiser, or ``None``.
        teacher: Whom a student learns from, or ``None``.
        trained: Called with the trainer once the last step is taken, before the last score, checkpoint and report:
            whatever fails then, what was learnt is kept.
        **trainer: Datasets, collator and callbacks, as ``transformers.Trainer`` takes them.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        args: TrainingArguments,
        process: Process,
        bos: int,
        folder: Path,
        keep: int,
        ema: EMA | None,
        controller: Controller | None = None,
        teacher: Teacher | None = None,
        trained: Callable[[ProcessTrainer], None] | None = None,
        **trainer: Any,
    ) -> None:
        if args.ddp_find_unused_parameters is None:  # the Trainer's own rule, which it has for its own networks alone
            args.ddp_find_unused_parameters = not args.activation_checkpointing
        super().__init__(model=model, args=args, **trainer)
        self.process = process
        self.bos = bos
        self.folder = folder
        self.keep = keep
        self.ema = ema
        self.controller = controller
        self.teacher = teacher
        self._trained = trained
        self.gradients = GradientMonitor(args.max_grad_norm, min(IN_A_ROW, max(args.max_steps, 1)))
        self._told: defaultdict[str, list[Tensor]] = defaultdict(list)
        self.share = self.train_dataset.blocks.learned
        self.bound = ""
        """What kind of number the held-out score is; known once there is one."""
        self.model_accepts_loss_kwargs = False  # the loss is a mean over a constant: accumulation averages it
        if ema is not None:
            self.add_callback(_FollowWeights(ema))
        if teacher is not None:
            self.add_callback(teacher)
        self.steering: steering.Steering | None = None
        self._fixed: Batch | None = None
        if controller is not None:
            self.steering = steering.Steering(controller, self.gradients, self._probe, self._mean)
            self.add_callback(self.steering)

    def _batch(self, inputs: dict[str, Tensor]) -> Batch:
        return as_batch(self._prepare_inputs(inputs), self.bos, self.share)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the loss of the process at this point of training, and of the network where it has one."""
        progress = self.state.global_step / max(self.state.max_steps, 1)
        found = training_loss(self.process, model, self._batch(inputs), self.args.seed, progress)
        for name, value in found.metrics.items():
            self._told[name].append(value)
        loss = poisoned(found.loss)
        return (loss, {}) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the mean of what was told since the last training loss (on this rank)."""
        if "loss" in logs:
            for name, values in self._told.items():
                mean = torch.stack(values).mean(0)
                each = [(name, mean)] if not mean.ndim else [(f"{name}.{i}", value) for i, value in enumerate(mean)]
                logs |= {key: round(float(value), 6) for key, value in each}
            self._told.clear()
            logs |= self.gradients.told()
            logs |= self.steering.told() if self.steering is not None else {}
        super().log(logs, start_time)

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Return the parameters that weight decay shrinks."""
        network = self.accelerator.unwrap_model(model, keep_torch_compile=False)
        spared = network.undecayed()
        return [name for name in super().get_decay_parameter_names(model) if name not in spared]

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Make the optimiser; parameters whose learning rate the network scales get groups of their own."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        self.gradients.guard(optimizer)
        network = self.accelerator.unwrap_model(self.model if model is None else model, keep_torch_compile=False)
        scales = network.learning_rate_scales()
        scaled = {id(p): scales[name] for name, p in network.named_parameters() if name in scales}
        for group in list(optimizer.param_groups) if scaled else []:
            mine = defaultdict(list)
            for parameter in group["params"]:
                mine[scaled.get(id(parameter), 1.0)].append(parameter)
            group["params"] = mine.pop(1.0, [])
            for scale, parameters in mine.items():
                optimizer.add_param_group({**group, "params": parameters, "lr": group["lr"] * scale})
        return optimizer

    def _held_out(self, network: nn.Module) -> float:
        """Return the nats a token of all held-out blocks: exact or a bound, as the process has it.

        Each rank takes every so-manieth block, and sums are added, so that the number does not depend on ranks or
        batches but for rounding.

        The lengths of the documents in a block are given where the process is told them, and not paid for: a number to
        watch a run by, and comparable within a process alone. ``unmask evaluate`` has the one to compare.
        """
        data, ranks = self.eval_dataset, self.accelerator.num_processes
        mine = range(self.accelerator.process_index, len(data), ranks)
        found = scored_blocks(
            lambda batch: self.process.likelihood(network, batch, draws=DRAWS, seed=self.args.seed),
            mine,
            self.args.per_device_eval_batch_size,
            lambda places: self._batch(self.data_collator(data.__getitems__([*places]))),
        )
        self.bound = found.bound or self.bound
        nats, tokens = found.nats, found.tokens
        if ranks > 1:
            sums = torch.tensor([nats, tokens], dtype=torch.float64, device=self.args.device)
            nats, tokens = self.accelerator.reduce(sums, "sum").tolist()
        return nats / tokens

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Evaluate the weights that the run will be used with, the average if there is one, on the held-out blocks."""
        network = self.accelerator.unwrap_model(self.model)
        if self.ema is not None:
            self.ema.swap(network)
        network.eval()
        try:
            metrics = {f"{metric_key_prefix}_loss": self._held_out(network)}
        finally:
            network.train()
            if self.ema is not None:
                self.ema.swap(network)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """Take the gradient of one batch; one that is not finite is left out when the optimiser would step."""
        return self.gradients.heard(super().training_step(*args, **kwargs))

    def _get_grad_norm(self, model: nn.Module, grad_norm: Tensor | float | None = None) -> float:
        norm = float(super()._get_grad_norm(model, grad_norm=grad_norm))
        self.gradients.saw(norm, self.state.global_step + 1)
        return norm

    def _mean(self, value: Tensor) -> float:
        return float(self.accelerator.reduce(value.float(), "mean"))

    def _probe(self) -> float:
        """Measure the loss of the last examples of the training order, mean over ranks."""
        if self._fixed is None:
            last = range(len(self.train_dataset))[-self.controller.probes :]
            self._fixed = self._batch(self.data_collator([self.train_dataset[place] for place in last]))
        return self._mean(probe_loss(self.process, self.model_wrapped, self._fixed, self.args.seed))

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        if self._trained is not None and self.state.global_step >= self.state.max_steps:
            self._trained(self)
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _get_output_dir(self, trial: Any) -> str:
        """Return where checkpoints are written aside; the run's own arguments name a place that stays."""
        return str(self.folder / checkpoints.PARTIAL)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        with checkpoints.reading(Path(resume_from_checkpoint)):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse weights of another network, of which the Trainer takes what fits.

        Raises:
            ValueError: which one does not fit.
        """
        lacking = set(load_result.missing_keys) - set(self.model.tied())
        if odd := sorted({*lacking, *load_result.unexpected_keys}):
            raise ValueError(f"its weights are of another network: {odd[0]} differs")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with checkpoints.reading(Path(checkpoint or "")):
            if checkpoint is not None:
                self._check_schedule(Path(checkpoint) / "scheduler.pt")
            super()._load_optimizer_and_scheduler(checkpoint)

    def _check_schedule(self, path: Path) -> None:
        """Refuse a schedule that does not say where it is, or that brings its own ``step``: it becomes attributes.

        Raises:
            ValueError: it does.
        """
        told = torch.load(path, weights_only=True) if path.is_file() else {"last_epoch": 0}
        methods = [key for key in told if callable(getattr(type(self.lr_scheduler), str(key), None))]
        if methods or type(told["last_epoch"]) is not int:
            raise ValueError("its schedule is none")

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with checkpoints.reading(Path(checkpoint or "")):
            super()._load_rng_state(checkpoint)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Save weights and configuration, and no pickled arguments."""
        if self.args.should_save:
            network = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
            network.save_pretrained(output_dir or self.args.output_dir, state_dict=state_dict)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        name = f"checkpoint-{self.state.global_step}"
        partial = Path(self._get_output_dir(trial)) / name
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                if self.ema is not None:
                    self.ema.save(partial)
                if self.teacher is not None:
                    self.teacher.save(partial)
                if self.controller is not None:
                    steering.save(self.controller, partial)
                self.gradients.save(partial)
                for part in self.callback_handler.callbacks:
                    if isinstance(part, Metrics):
                        part.save(partial)
                checkpoints.seal(partial, self.folder / name)
                checkpoints.prune(self.folder, self.keep)
        except Exception:  # the writers of tensors have exceptions of their own for a full disk
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self.accelerator.wait_for_everyone()


class _FollowWeights(TrainerCallback):
    def __init__(self, ema: EMA) -> None:
        self.ema = ema

    def on_step_end(self, args: Any, state: Any, control: Any, model: nn.Module, **kwargs: Any) -> None:
        self.ema.update(getattr(model, "module", model), state.global_step)
