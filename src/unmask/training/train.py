"""From a recipe to a run folder: the plan, the text, the network, and the Trainer over them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainingArguments

from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.models.network import Denoiser
from unmask.progress_line import ProgressLine
from unmask.threads import chosen
from unmask.training import checkpoints
from unmask.training.adapters import add_adapters
from unmask.training.arguments import trainer_arguments
from unmask.training.ema import EMA
from unmask.training.ending import Ending
from unmask.training.epochs import as_begun, passes_told, steps_of
from unmask.training.evidence_table import Finder
from unmask.training.folder import CHECKPOINTS, claimed, differences
from unmask.training.hardware import threads
from unmask.training.manifest import new_manifest
from unmask.training.monitor import Interrupt, Metrics, Steps, leads, say
from unmask.training.order import BlockStream, collate, tokens_a_byte
from unmask.training.patches import give_patcher
from unmask.training.plan import Plan, plan
from unmask.training.precision import precision
from unmask.training.prepared import Prepared, prepare
from unmask.training.qcontroller.callback import load, make_controller
from unmask.training.recipe import Recipe
from unmask.training.run import MANIFEST, RECIPE, WEIGHTS, Run, open_folder, write_json
from unmask.training.slowdown import Slowdown
from unmask.training.teacher import Teacher
from unmask.training.trackers import make_trackers
from unmask.training.trainer import ProcessTrainer
from unmask.training.warm_start import START, keep_start, warm_start


@dataclass(frozen=True)
class _Work:
    """What a training holds when its first step is next.

    Attributes:
        plan: What is trained.
        text: On what.
        model: The network, its patcher fitted.
        arguments: The Trainer's.
    """

    plan: Plan
    text: Prepared
    model: Denoiser
    arguments: TrainingArguments


def train(
    recipe: Recipe,
    folder: Path,
    resume: bool = False,
    callbacks: Sequence[transformers.TrainerCallback] = (),
    find: Finder | None = None,
) -> Run:
    """Train a recipe into a run folder.

    Args:
        recipe: What to train.
        folder: The run folder; new or empty, unless ``resume``.
        resume: Continue from the newest whole checkpoint, to the same weights as an uninterrupted run.
        callbacks: The caller's own, asked after ours. One that stops training leaves an ``interrupted`` run.
        find: Looks evidence up, for recipes that have it.

    Returns:
        The run. Its manifest's ``status`` is ``finished`` or ``interrupted``.

    Raises:
        Error: the user's mistakes; nothing that was saved is lost.
    """
    transformers.utils.logging.disable_progress_bar()  # our own line says what goes on
    with claimed(folder, resume):
        begun: dict[str, Any] = {}
        if resume:
            begun, stored = open_folder(folder)
            _check_links(folder)
            if begun.get("status") == "finished" and (folder / WEIGHTS).is_file():
                say(f"{folder} is finished; there is nothing to resume.")
                return Run(folder, begun, stored)
            if leads() and (left_out := differences(as_begun(recipe, begun, stored), stored)):
                say(f"note: {folder} goes on with its own recipe; not used: {left_out}")
            recipe = stored
        with threads(recipe.training.threads or (begun.get("threads") if chosen() else None)):
            return _trained(recipe, folder, resume, begun, callbacks, find)


def _check_links(folder: Path) -> None:
    """Refuse to resume a run whose parts lie elsewhere: what is written into them would be written there."""
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise Error(f"{path} is a link to {path.resolve()}; put what it leads to in its place before resuming.")


def _trained(
    recipe: Recipe,
    folder: Path,
    resume: bool,
    begun: dict[str, Any],
    callbacks: Sequence[transformers.TrainerCallback],
    find: Finder | None,
) -> Run:
    recipe, start = (recipe, None) if resume else warm_start(recipe)
    planned = plan(recipe, start=start)  # refuses impossible shapes before any data is touched
    computed = precision(recipe, begun)
    arguments = trainer_arguments(recipe, folder, computed.bf16)
    fresh = leads() and not resume
    with arguments.main_process_first(local=False, desc="data"):  # the others then read what the first rank wrote
        text = prepare(recipe, folder, fresh, begun, start and start.tokenizer())
    planned = planned.for_words(text.tokenizer.vocabulary)
    model = planned.network()
    if start is not None:
        for note in start.notes:
            say(f"note: {note}")
    with arguments.main_process_first(local=False, desc="weights"):
        keep_start(model, folder, fresh and start is not None)
    with arguments.main_process_first(local=False, desc="patches"):
        give_patcher(model, lambda: text.documents(recipe), folder, fresh, recipe.data.binary, start and start.run.path)
    mask = text.tokenizer.mask_id if PROCESSES.facts(recipe.process.name).shows == "mask" else None
    trained = None if recipe.lora is None else add_adapters(model, recipe.lora, recipe.seed, mask)
    if recipe.evidence is not None:
        with arguments.main_process_first(local=False, desc="evidence"):
            text = text.with_evidence(planned, begun, find)
    manifest = new_manifest(planned, text, computed, arguments.world_size, begun, folder)
    if trained is not None:
        manifest["trained_parameters"] = trained
    if recipe.training.epochs is not None:
        planned = planned.lasting(steps_of(recipe.training.epochs, len(text.blocks), _rows(arguments)))
        arguments.max_steps = planned.recipe.training.max_steps
    for note in text.notes:
        say(f"note: {note}")
    say(passes_told(planned.recipe, text.blocks, _rows(arguments), planned.process.visibility == "bidirectional"))
    if fresh:
        (folder / RECIPE).write_text(planned.recipe.to_yaml(), encoding="utf-8")
        write_json(folder / MANIFEST, manifest)
    return _train(_Work(planned, text, model, arguments), manifest, folder, resume, callbacks)


def _train(
    work: _Work,
    manifest: dict[str, Any],
    folder: Path,
    resume: bool,
    callbacks: Sequence[transformers.TrainerCallback],
) -> Run:
    recipe, text, model, arguments = work.plan.recipe, work.text, work.model, work.arguments
    rows = _rows(arguments)
    metrics = Metrics(folder / "metrics.jsonl", rows * (recipe.data.length - 1))
    interrupt, line = Interrupt(), ProgressLine()
    stored = folder / CHECKPOINTS
    checkpoint = _newest(stored) if resume else None
    held_out = min(recipe.training.valid_blocks, len(text.valid)) if text.valid else 0
    arguments.per_device_eval_batch_size = max(1, min(arguments.per_device_eval_batch_size, held_out))
    ema = EMA(model, recipe.training.ema) if recipe.training.ema else None
    controller = make_controller(recipe.qcontroller, recipe.seed) if recipe.qcontroller else None
    if checkpoint is not None:
        with checkpoints.reading(checkpoint):
            checkpoints.check_state(checkpoint)
            if ema is not None:
                ema.load(checkpoint)
            if controller is not None:
                load(controller, checkpoint)
    flops = work.plan.training_flops_per_token * rows * recipe.data.length
    ending = Ending(folder, manifest, metrics, ema, flops)
    teacher = None if recipe.distill is None else Teacher(recipe.distill, work.plan.process, model, ema, checkpoint)
    trainer = ProcessTrainer(
        model=model,
        args=arguments,
        process=work.plan.process if teacher is None else teacher.process,
        bos=text.tokenizer.bos_id,
        folder=stored,
        keep=recipe.training.save_total_limit,
        ema=ema,
        controller=controller,
        teacher=teacher,
        trained=ending.keep,
        train_dataset=text.examples(arguments.max_steps * rows, recipe.seed),
        eval_dataset=BlockStream(text.valid, held_out, recipe.seed) if text.valid else None,
        data_collator=collate,
        callbacks=[
            metrics,
            Steps(recipe.name, metrics, line),
            Slowdown(metrics.tokens_per_step),
            interrupt,
            *callbacks,
            *make_trackers(recipe, folder),
        ],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    if checkpoint is not None:
        with checkpoints.reading(checkpoint):
            trainer.gradients.load(checkpoint)
            metrics.load(checkpoint)
    watched = recipe.training.detect_anomaly or torch.is_anomaly_enabled()
    with ending.guarded(), interrupt, line, torch.autograd.set_detect_anomaly(watched):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        ending.keep(trainer)
        if manifest["status"] == "interrupted" and interrupt.by:
            manifest["stopped_by"] = interrupt.by
            ending.tell(trainer)
        if text.valid is not None and metrics.valid is not None:
            per_byte = metrics.valid / math.log(2) * tokens_a_byte(text.valid, held_out, recipe.seed, text.tokenizer)
            manifest.update(valid_nats_per_token=metrics.valid, valid_bits_per_byte=per_byte, valid_bound=trainer.bound)
            if recipe.data.format == "chat":
                manifest["valid_of"] = "responses"
            ending.tell(trainer)
    if manifest["status"] == "finished" and leads():
        shutil.rmtree(folder / START, ignore_errors=True)
    return Run(folder, manifest, recipe)


def _newest(stored: Path) -> Path | None:
    """Return the newest whole checkpoint; ``None``: the run goes on from its start."""
    checkpoint, problems = checkpoints.newest(stored)
    for problem in problems:
        say(f"warning: {problem}; using {checkpoint.name if checkpoint else 'the start'}")
    return checkpoint


def _rows(arguments: TrainingArguments) -> int:
    """Return the blocks of a step, on all ranks."""
    return int(arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size)
