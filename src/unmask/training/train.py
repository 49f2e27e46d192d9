"""From a recipe to a run folder."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from pydantic import BaseModel
from transformers import PreTrainedModel, TrainingArguments, set_seed
from transformers.integrations import get_reporting_integration_callbacks

from unmask import __version__
from unmask.data.blocks import Blocks, pack
from unmask.data.corpus import Corpus, documents, load_corpus
from unmask.data.tokenizers import Tokenizer, load_tokenizer, make_tokenizer
from unmask.diffusion.process import Process
from unmask.errors import Error
from unmask.models.cost import forward_flops, parameter_count, training_memory
from unmask.models.registry import BACKBONES
from unmask.training import checkpoints
from unmask.training.ema import EMA
from unmask.training.hardware import device_name, use_bf16
from unmask.training.monitor import Interrupt, Metrics, ProgressLine
from unmask.training.order import BlockStream, collate
from unmask.training.recipe import Recipe
from unmask.training.run import FORMAT, MANIFEST, RECIPE, WEIGHTS, Run, make_process, open_folder, write_json
from unmask.training.trainer import ProcessTrainer


@dataclass(frozen=True)
class Plan:
    """What a recipe will cost, known before training.

    Attributes:
        recipe: The resolved recipe.
        parameters: Trainable parameters, tied ones once.
        training_flops_per_token: Forward and backward (three forwards), logits at asked positions only.
        tokens: Tokens that the whole run sees, padding and BOS included.
        memory_bytes: Estimated peak memory on one device.
        vocab_size: Token ids; an upper bound where a tokenizer is trained later.
    """

    recipe: Recipe
    parameters: int
    training_flops_per_token: float
    tokens: int
    memory_bytes: int
    vocab_size: int


def make_model(recipe: Recipe, vocab_size: int) -> PreTrainedModel:
    """Build the recipe's network with fresh weights drawn from the recipe's seed."""
    backbone = BACKBONES.get(recipe.backbone.name)
    sizes = {"max_position_embeddings": recipe.data.length, **(recipe.backbone.model_extra or {})}
    config = backbone.config(vocab_size=vocab_size, **sizes)
    if config.max_position_embeddings < recipe.data.length:
        raise Error(
            f"backbone.max_position_embeddings {config.max_position_embeddings} is below data.length "
            f"{recipe.data.length}; raise it or shorten the blocks."
        )
    set_seed(recipe.seed)
    return backbone.model(config)


def plan(recipe: Recipe, vocab_size: int | None = None) -> Plan:
    """Work out a recipe's cost without data (the network is built without memory)."""
    size = vocab_size or (260 if recipe.data.tokenizer == "bytes" else recipe.data.vocab_size)
    _arguments(recipe, Path("runs"))  # refuses what the Trainer would refuse
    try:
        with torch.device("meta"):
            model = make_model(recipe, size)
    except RuntimeError as error:
        raise Error(f"the network cannot be built ({_first_line(error)}); lower the sizes in backbone.") from error
    process = make_process(recipe, mask_id=3)
    process.check(model.config)
    training = recipe.training
    rows = training.per_device_train_batch_size
    asked = 1.0 if process.visibility == "causal" else 0.5
    parameters = parameter_count(model)
    return Plan(
        recipe=recipe,
        parameters=parameters,
        training_flops_per_token=3 * forward_flops(model.config, recipe.data.length, asked),
        tokens=training.max_steps * rows * training.gradient_accumulation_steps * recipe.data.length,
        memory_bytes=training_memory(
            model.config, parameters, rows, recipe.data.length, asked, ema=training.ema is not None
        ),
        vocab_size=size,
    )


def _arguments(recipe: Recipe, folder: Path) -> TrainingArguments:
    ours = {"valid_blocks", "ema", "precision", "save_total_limit"}
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
        raise Error(f"the training section is not valid: {_first_line(error)}") from error
    return arguments


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


@contextmanager
def _started(folder: Path, fresh: bool) -> Iterator[None]:
    """Make a fresh run's folder; if the run cannot start, leave nothing behind."""
    created = fresh and not folder.exists()
    if fresh:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if fresh:
            shutil.rmtree(folder if created else folder / "tokenizer", ignore_errors=True)
        raise


def _prepare(recipe: Recipe, folder: Path, fresh: bool) -> tuple[Corpus, Tokenizer, Blocks, Blocks | None]:
    data = recipe.data
    corpus = load_corpus(
        data.source,
        valid=data.valid,
        valid_fraction=data.valid_fraction,
        judge_fraction=data.judge_fraction,
        normalize=data.normalize,
        text_field=data.text_field,
    )
    split = corpus.split(data.split)
    if fresh:
        tokenizer = make_tokenizer(data.tokenizer, documents(split), data.vocab_size)
        tokenizer.save(folder / "tokenizer")
    else:
        tokenizer = load_tokenizer(folder / "tokenizer")
    valid = pack(corpus.split("valid"), tokenizer, data.length) if recipe.training.valid_blocks else None
    return corpus, tokenizer, pack(split, tokenizer, data.length), valid


def _differences(given: Recipe, stored: Recipe) -> str:
    """Name the keys in which two recipes differ, names and descriptions aside."""
    pairs = [(section, getattr(given, section), getattr(stored, section)) for section in type(given).model_fields]
    found = []
    for section, one, other in pairs:
        if isinstance(one, BaseModel):
            ours, theirs = one.model_dump(), other.model_dump()
            found += [f"{section}.{k}" for k in {**ours, **theirs} if ours.get(k) != theirs.get(k)]
        elif section not in ("name", "about") and one != other:
            found.append(section)
    return ", ".join(found)


def _check_folder(folder: Path, resume: bool) -> None:
    begun = (folder / MANIFEST).is_file()
    if begun and not resume:
        raise Error(f"{folder} already holds a run; continue it with --resume, or choose another --output.")
    if resume and not begun:
        raise Error(f"{folder} holds no run to resume; leave --resume out to start one.")
    if folder.exists() and not folder.is_dir():
        raise Error(f"--output {folder} is a file; give a folder.")
    if not begun and folder.is_dir() and any(folder.iterdir()):
        raise Error(f"{folder} is not empty and holds no run; choose another --output.")


def train(recipe: Recipe, folder: Path, resume: bool = False) -> Run:
    """Train a recipe into a run folder.

    Args:
        recipe: What to train.
        folder: The run folder; new or empty, unless ``resume``.
        resume: Continue from the newest whole checkpoint, to the same weights as an uninterrupted run.

    Returns:
        The run. Its manifest's ``status`` is ``finished`` or ``interrupted``.

    Raises:
        Error: the user's mistakes; nothing that was saved is lost.
    """
    transformers.utils.logging.disable_progress_bar()  # our own line says what goes on
    leads = int(os.environ.get("RANK", "0")) == 0
    if leads:
        _check_folder(folder, resume)
    begun: dict[str, Any] = {}
    if resume:
        begun, stored = open_folder(folder)
        if begun.get("status") == "finished" and (folder / WEIGHTS).is_file():
            print(f"{folder} is finished; there is nothing to resume.", file=sys.stderr)
            return Run(folder, begun, stored)
        if leads and (left_out := _differences(recipe, stored)):
            print(f"note: {folder} goes on with its own recipe; not used: {left_out}", file=sys.stderr)
        recipe = stored
    plan(recipe)  # refuses impossible shapes before any data is touched
    arguments = _arguments(recipe, folder)
    fresh = leads and not resume
    with _started(folder, fresh):
        with arguments.main_process_first(local=False, desc="data"):  # the others then read what the first rank wrote
            corpus, tokenizer, blocks, valid = _prepare(recipe, folder, fresh)
        process = make_process(recipe, tokenizer.mask_id)
        model = make_model(recipe, tokenizer.vocab_size)
        process.check(model.config)
    if resume and (then := begun.get("corpus_fingerprint")) != corpus.fingerprint:
        raise Error(
            f"the corpus {corpus.source} has changed since {folder} was started ({then} then, {corpus.fingerprint} "
            "now); put the old text back, or start a new run in another --output."
        )
    manifest = _manifest(recipe, model, corpus, tokenizer, blocks, arguments, process)
    if fresh:
        (folder / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
        write_json(folder / MANIFEST, {**manifest, "status": "running"})
    return _train(recipe, folder, resume, model, process, tokenizer, blocks, valid, arguments, manifest)


def _train(
    recipe: Recipe,
    folder: Path,
    resume: bool,
    model: PreTrainedModel,
    process: Process,
    tokenizer: Tokenizer,
    blocks: Blocks,
    valid: Blocks | None,
    arguments: TrainingArguments,
    manifest: dict[str, Any],
) -> Run:
    rows = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    metrics = Metrics(folder / "metrics.jsonl", rows * (recipe.data.length - 1))
    interrupt = Interrupt()
    stored = folder / "checkpoints"
    checkpoint = None
    if resume:
        checkpoint, problems = checkpoints.newest(stored)
        for problem in problems:
            print(f"warning: {problem}; using {checkpoint.name if checkpoint else 'the start'}", file=sys.stderr)
    held_out = min(recipe.training.valid_blocks, len(valid)) if valid else 0
    arguments.per_device_eval_batch_size = max(1, min(arguments.per_device_eval_batch_size, held_out))
    ema = EMA(model, recipe.training.ema) if recipe.training.ema else None
    if ema is not None and checkpoint is not None:
        ema.load(checkpoint)
    trainer = ProcessTrainer(
        model=model,
        args=arguments,
        process=process,
        bos=tokenizer.bos_id,
        folder=stored,
        keep=recipe.training.save_total_limit,
        ema=ema,
        train_dataset=BlockStream(blocks, arguments.max_steps * rows, recipe.seed),
        eval_dataset=BlockStream(valid, held_out, recipe.seed) if valid else None,
        data_collator=collate,
        callbacks=[metrics, ProgressLine(recipe.name, metrics), interrupt],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    with interrupt:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    step = trainer.state.global_step
    manifest |= {
        "status": "finished" if step >= arguments.max_steps else "interrupted",
        "steps": step,
        "tokens_seen": round(step * metrics.tokens_per_step),
        "tok_per_s": round(metrics.tokens_per_second, 1),
        "train_seconds": round(metrics.seconds, 1),
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
    }
    if trainer.is_world_process_zero():
        _save_weights(trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False), ema, folder)
        write_json(folder / MANIFEST, manifest)
    return Run(folder, manifest, recipe)


def _save_weights(model: PreTrainedModel, ema: EMA | None, folder: Path) -> None:
    """Write the weights that samplers use, and beside them the raw ones where an average was kept."""
    if ema is not None:
        model.save_pretrained(folder / "raw")
        ema.swap(model)
    partial = folder / ".weights"
    model.save_pretrained(partial)
    for path in partial.iterdir():
        path.replace(folder / path.name)
    partial.rmdir()
    if ema is not None:
        ema.swap(model)


def _manifest(
    recipe: Recipe,
    model: PreTrainedModel,
    corpus: Corpus,
    tokenizer: Tokenizer,
    blocks: Blocks,
    arguments: TrainingArguments,
    process: Process,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "status": "running",
        "recipe": recipe.name,
        "process": process.name,
        "parameters": parameter_count(model),
        "corpus": corpus.source,
        "corpus_fingerprint": corpus.fingerprint,
        "split": recipe.data.split,
        "tokenizer": tokenizer.name,
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "blocks": len(blocks),
        "train_bytes": blocks.bytes,
        "precision": "bf16" if arguments.bf16 else "fp32",
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "world_size": arguments.world_size,
        "versions": {
            "unmask": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }
