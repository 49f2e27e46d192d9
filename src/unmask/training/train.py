"""From a recipe to a run folder."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainingArguments

from unmask import __version__
from unmask.data.blocks import Blocks, pack
from unmask.data.corpus import Corpus, documents, load_corpus
from unmask.data.tokenizers import Tokenizer, load_tokenizer, make_tokenizer
from unmask.diffusion.process import Process
from unmask.errors import Error
from unmask.models.cost import parameter_count
from unmask.models.network import Denoiser
from unmask.threads import chosen
from unmask.training import checkpoints
from unmask.training.arguments import trainer_arguments, try_out
from unmask.training.ema import EMA
from unmask.training.ending import Ending
from unmask.training.entropy_run import entropy_run
from unmask.training.epochs import as_begun, passes_told, settled
from unmask.training.evidence import Finder, evidence_table
from unmask.training.folder import claimed, differences
from unmask.training.hardware import device_name, threads
from unmask.training.monitor import Interrupt, Metrics, ProgressLine, leads, say
from unmask.training.order import BlockStream, collate, tokens_a_byte
from unmask.training.patches import give_patcher
from unmask.training.places import place_of, places, with_index
from unmask.training.plan import make_model, plan
from unmask.training.qcontroller.callback import load, make_controller
from unmask.training.recipe import Recipe
from unmask.training.run import FORMAT, MANIFEST, RECIPE, WEIGHTS, Run, make_process, open_folder, write_json
from unmask.training.slowdown import Slowdown
from unmask.training.trackers import make_trackers
from unmask.training.trainer import ProcessTrainer


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
    plan(recipe)  # refuses impossible shapes before any data is touched
    if not resume:
        entropy_run(str((recipe.backbone.model_extra or {}).get("entropy", "")))
    arguments = trainer_arguments(recipe, folder)
    fresh = leads() and not resume
    with arguments.main_process_first(local=False, desc="data"):  # the others then read what the first rank wrote
        corpus, tokenizer, blocks, valid = _prepare(recipe, folder, fresh, begun)
    process = make_process(recipe, tokenizer.vocabulary)
    model = make_model(recipe, tokenizer.vocab_size)
    process.check(model.config)
    with arguments.main_process_first(local=False, desc="patches"):
        give_patcher(model, lambda: documents(corpus.split(recipe.data.split)), folder, fresh, recipe.data.binary)
    evidence = None
    if recipe.evidence is not None:
        texts = documents(corpus.split(recipe.data.split))
        with arguments.main_process_first(local=False, desc="evidence"):
            section = with_index(begun, recipe.evidence)
            evidence = evidence_table(section, model.config.memory_width, blocks, tokenizer, texts, find)
    epochs = begun.get("epochs", recipe.training.epochs)
    recipe = settled(recipe, len(blocks), _rows(arguments))
    arguments.max_steps = recipe.training.max_steps
    try_out(arguments)
    if resume and (then := begun.get("corpus_fingerprint")) != corpus.fingerprint:
        raise Error(
            f"the corpus {corpus.source} has changed since {folder} was started ({then} then, {corpus.fingerprint} "
            "now); put the old text back, or start a new run in another --output."
        )
    told = {} if evidence is None else {"evidence": evidence.found.told}
    if epochs is not None:
        told["epochs"] = epochs
    for note in (*corpus.notes, *tokenizer.notes):
        say(f"note: {note}")
    say(passes_told(recipe, blocks, _rows(arguments), process.visibility == "bidirectional"))
    if resume and (then := begun.get("evidence")) != told.get("evidence"):
        raise Error(
            f"the evidence of {folder} has changed since it was started ({then} then, {told.get('evidence')} now); put "
            "the old index back, or start a new run in another --output."
        )
    if "corpus_at" in begun:
        told["corpus_at"] = begun["corpus_at"]
    manifest = _manifest(recipe, model, corpus, tokenizer, blocks, arguments, process) | told
    if fresh:
        (folder / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
        write_json(folder / MANIFEST, {**manifest, "status": "running"})
    examples = partial(BlockStream, blocks, seed=recipe.seed, evidence=evidence)
    return _train(recipe, folder, resume, model, process, tokenizer, examples, valid, arguments, manifest, callbacks)


def _prepare(
    recipe: Recipe, folder: Path, fresh: bool, begun: dict[str, Any]
) -> tuple[Corpus, Tokenizer, Blocks, Blocks | None]:
    data = recipe.data
    corpus = load_corpus(
        place_of(begun, "source", data.source, data.binary) if begun else data.source,
        valid=place_of(begun, "valid", data.valid, data.binary) if begun and data.valid is not None else data.valid,
        valid_fraction=data.valid_fraction,
        judge_fraction=data.judge_fraction,
        normalize=data.normalize,
        text_field=data.text_field,
        binary=data.binary,
    )
    split = corpus.split(data.split)
    held_out = corpus.split("valid") if recipe.training.valid_blocks else None
    if fresh:
        tokenizer = make_tokenizer(data.tokenizer, documents(split), data.vocab_size, data.binary)
        tokenizer.save(folder / "tokenizer")
    else:
        tokenizer = load_tokenizer(folder / "tokenizer")
    valid = None if held_out is None else pack(held_out, tokenizer, data.length)
    return corpus, tokenizer, pack(split, tokenizer, data.length), valid


def _train(
    recipe: Recipe,
    folder: Path,
    resume: bool,
    model: Denoiser,
    process: Process,
    tokenizer: Tokenizer,
    examples: Callable[..., BlockStream],
    valid: Blocks | None,
    arguments: TrainingArguments,
    manifest: dict[str, Any],
    callbacks: Sequence[transformers.TrainerCallback],
) -> Run:
    rows = _rows(arguments)
    metrics = Metrics(folder / "metrics.jsonl", rows * (recipe.data.length - 1))
    interrupt = Interrupt()
    stored = folder / "checkpoints"
    checkpoint = None
    if resume:
        checkpoint, problems = checkpoints.newest(stored)
        for problem in problems:
            say(f"warning: {problem}; using {checkpoint.name if checkpoint else 'the start'}")
    held_out = min(recipe.training.valid_blocks, len(valid)) if valid else 0
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
    flops = plan(recipe, tokenizer.vocab_size).training_flops_per_token * rows * recipe.data.length
    ending = Ending(folder, manifest, metrics, ema, flops)
    trainer = ProcessTrainer(
        model=model,
        args=arguments,
        process=process,
        bos=tokenizer.bos_id,
        folder=stored,
        keep=recipe.training.save_total_limit,
        ema=ema,
        controller=controller,
        trained=ending.keep,
        train_dataset=examples(total=arguments.max_steps * rows),
        eval_dataset=BlockStream(valid, held_out, recipe.seed) if valid else None,
        data_collator=collate,
        callbacks=[
            metrics,
            ProgressLine(recipe.name, metrics),
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
    with ending.guarded(), interrupt, torch.autograd.set_detect_anomaly(watched):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        ending.keep(trainer)
        if manifest["status"] == "interrupted" and interrupt.by:
            manifest["stopped_by"] = interrupt.by
            ending.tell(trainer)
        if valid is not None and metrics.valid is not None:
            per_byte = metrics.valid / math.log(2) * tokens_a_byte(valid, held_out, recipe.seed, tokenizer)
            manifest |= {
                "valid_nats_per_token": metrics.valid,
                "valid_bits_per_byte": per_byte,
                "valid_bound": trainer.bound,
            }
            ending.tell(trainer)
    return Run(folder, manifest, recipe)


def _rows(arguments: TrainingArguments) -> int:
    """Return the blocks of a step, on all ranks."""
    return int(arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size)


def _manifest(
    recipe: Recipe,
    model: Denoiser,
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
        "corpus_at": places(recipe),
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
