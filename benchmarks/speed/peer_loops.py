"""What PyPI's peers train with, at the sizes of ``stories-small``: their own networks, losses and loops, only called.

``python -m benchmarks.speed.peer_loops CASE SETTINGS`` trains one case for some seconds in a process of its own
(``peers.py`` starts them) and prints one line of JSON. Every peer has our width, heads, vocabulary, length, batch and
tokens, no dropout, and as many layers as bring it nearest to our parameters; all else is its default on a CPU.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.lib.clock import Clock, Finished, Rows, Ticks
from benchmarks.lib.parts import SyntheticBlocks, SyntheticCorpus, network, small, train_on
from benchmarks.speed.train_step import PLAIN_MASKED
from unmask.models.cost import parameter_count

MANY = 10**6
MASK = 3
FIRST_CHARACTER = 0x4E00
"""Tokens become characters from here on for the peer that reads nothing but text."""


class Work:
    """What a case trains on: sizes, tokens and the clock."""

    def __init__(self, seconds: float, threads: int, quick: bool) -> None:
        self.seconds, self.threads, self.quick = seconds, threads, quick
        recipe = small("masked", quick)
        sizes = recipe.backbone.model_extra or {}
        self.width, self.heads = sizes["hidden_size"], sizes["num_attention_heads"]
        self.vocabulary, self.length = recipe.data.vocab_size, recipe.data.length
        self.rows = recipe.training.per_device_train_batch_size
        self.blocks = SyntheticBlocks(256 * self.rows, self.length, self.vocabulary, None)
        self.clock = Clock(seconds, self.rows * self.length)

    def of(self, parameters: int) -> dict[str, Any]:
        """Return what was found, for a network of so many parameters."""
        return {"tokens_per_second": self.clock.rate, "parameters": parameters}


def ours(work: Work, half: str) -> dict[str, Any]:
    """Train as ``unmask train`` does, t uniform from start to end, in a precision; BOS is not counted."""
    given = [f"training.precision={half}", f"training.threads={work.threads}", "training.save_strategy='no'"]
    recipe = small("masked", work.quick, [*PLAIN_MASKED, *given, "training.valid_blocks=0"])
    work.clock.tokens = work.rows * (work.length - 1)
    corpus = SyntheticCorpus(work.vocabulary)
    with suppress(Finished):
        train_on(recipe, Path("run"), (corpus, corpus, work.blocks, None), callbacks=[Ticks(work.clock)])
    return work.of(parameter_count(network(recipe)))


def telos(work: Work, layers: int) -> dict[str, Any]:
    """Let ``telos train --benchmark`` train, and read its own report."""
    work.blocks.tokens_array.numpy().astype(np.uint16).tofile("tokens.bin")
    trainer = import_module("telos.train").train(
        paradigm="mdlm",
        d_model=work.width,
        n_layers=layers,
        vocab_size=work.vocabulary,
        seq_len=work.length,
        batch_size=work.rows,
        hardware="cpu",
        devices=1,
        data_path="tokens.bin",
        max_steps=MANY,
        benchmark=True,
        benchmark_duration=work.seconds,
    )
    (report,) = Path("logs").glob("benchmark_*.json")
    work.clock.rate = json.loads(report.read_text(encoding="utf-8"))["tokens_per_sec"]
    return work.of(parameter_count(trainer.model))


def dllm_reason(work: Work, layers: int) -> dict[str, Any]:
    """Let its pretraining loop train its MDLM; no attention mask, which would slow it down: no row is padded."""
    training = import_module("dllm_reason.training.pretrain")
    mdlm = import_module("dllm_reason.models.mdlm").MDLM
    model = mdlm(work.vocabulary, work.length, MASK, work.width, layers, work.heads, dropout=0.0)
    loader = DataLoader(Rows(work.blocks, work.rows, work.clock), work.rows, shuffle=True)
    config = training.TrainConfig(batch_size=work.rows, max_steps=MANY, save_every=MANY, save_dir=".")
    with suppress(Finished):
        training.Trainer(model, loader, config=config).train()
    return work.of(parameter_count(model))


def hedgehog(work: Work, layers: int) -> dict[str, Any]:
    """Let the trainer behind ``hedgehog train`` train its DiT; that command itself would read no text of ours."""
    trainers = import_module("hedgehog.trainers")
    config = trainers.TrainerConfig(
        vocab_size=work.vocabulary,
        hidden_size=work.width,
        num_heads=work.heads,
        num_layers=layers,
        max_seq_len=work.length,
        per_device_batch_size=work.rows,
        dropout=0.0,
        dataloader_num_workers=0,
        save_steps=MANY,
        output_dir=".",
    )
    trainer = trainers.DiffusionTrainer(config, train_dataset=Rows(work.blocks, work.rows, work.clock))
    with suppress(Finished):
        trainer.train()
    return work.of(parameter_count(trainer.model))


def dantinox(work: Work, layers: int) -> dict[str, Any]:
    """Let its Trainer fit a text whose characters are our tokens; the step that compiles is before the clock."""
    dx, jax, nnx = (import_module(name) for name in ("dantinox", "jax", "flax.nnx"))
    every = range(work.vocabulary)
    text = "".join(chr(FIRST_CHARACTER + i) for i in (*every, *work.blocks.tokens_array.flatten().tolist()))
    Path("text.txt").write_text(text, encoding="utf-8")
    paradigm = dx.Paradigm(
        dx.ModelConfig(
            paradigm="discrete",
            causal=False,
            dim=work.width,
            n_heads=work.heads,
            num_blocks=layers,
            max_context=work.length,
        )
    )
    tick = type("Tick", (import_module("dantinox.training.callbacks").BaseCallback,), {})()
    tick.on_step_end = lambda *of: work.clock.mark()
    config = dx.TrainingConfig(batch_size=work.rows, epochs=MANY, val_every=0)
    with suppress(Finished):
        dx.Trainer(paradigm, config, callbacks=[tick]).fit("text.txt", run_dir="run")
    weights = nnx.state(paradigm.build_model(nnx.Rngs(0)), nnx.Param)
    return work.of(sum(leaf.size for leaf in jax.tree.leaves(weights)))


@dataclass(frozen=True)
class Peer:
    """A package that trains, and what one must know to compare it.

    Attributes:
        train: Trains it with so many layers.
        module: What it is imported as.
        layers: Bring it nearest to our parameters.
        loop: Which of its loops is called, and who counts.
        objective: What that trains.
        note: What a reader has to know besides.
    """

    train: Callable[[Work, int], dict[str, Any]]
    module: str
    layers: int
    loop: str
    objective: str
    note: str = ""


IDLE = (
    "hedgehog-dlm: 2.5 M of its parameters are in no product over tokens (cross attention that is never called, "
    "modulation once a row), so it has half of our layers and less work a token than all others"
)
PEERS = {
    "telos-ml": Peer(telos, "telos", 6, "train --benchmark, its own report", "masked, x 1/t, t of Beta(1.5, 1.5)"),
    "dllm-reason": Peer(dllm_reason, "dllm_reason", 4, "pretrain.Trainer", "masked, x s'(t)/s(t), geometric s"),
    "hedgehog-dlm": Peer(hedgehog, "hedgehog", 3, "DiffusionTrainer", "masked, no weight, t uniform", IDLE),
    "dantinox": Peer(dantinox, "dantinox", 4, "Trainer.fit with a callback", "masked, x 1/t, t uniform"),
}
"""All compute in float32 on a CPU and all logits; the weights are said as they are, right or not."""


def main(case: str, settings: dict[str, Any]) -> None:
    """Train a case and print what was found."""
    threads = settings["threads"]
    with suppress(AttributeError):  # XLA takes no number of threads; only Linux can say which cores a process has
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if folder := settings.get("folder"):
        sys.path.append(folder)  # behind our own packages: one torch and one numpy for all
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    work = Work(settings["seconds"], threads, settings["quick"])
    with tempfile.TemporaryDirectory() as place, chdir(place):
        if case in PEERS:
            found = PEERS[case].train(work, PEERS[case].layers) | {"version": version(case)}
        else:
            found = ours(work, case)
    if torch.get_num_threads() != threads:
        raise SystemExit(f"{case} computed with {torch.get_num_threads()} threads instead of {threads}")
    print(json.dumps(found), flush=True)
    os._exit(0)  # without waiting for what a loop that was left keeps in the background


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
