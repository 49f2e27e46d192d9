"""Training pieces of the accelerator's benchmark, which stop in time and go on to the same weights."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lib.stored import stamp, store
from unmask.errors import Error

RESERVE = 15.0  # seconds to save in
CELL = 40.0  # seconds that one cell of a table may take; none is begun with fewer left
QUICK = [
    "data={length: 24, vocab_size: 300}",
    "backbone={hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}",
    "training={max_steps: 8, per_device_train_batch_size: 4, warmup_steps: 2}",
    "training={save_steps: 4, eval_steps: 4, logging_steps: 2}",
    "sampler={}",
]


@dataclass
class Bench:
    """One call of the script.

    Attributes:
        data: Folder of the prepared tokens.
        runs: Folder of the runs, and of the state between calls.
        results: Folder that the finished tables go to.
        overrides: ``section.key=value`` for both recipes.
        quick: Tiny sizes.
        deadline: When to stop, as ``time.monotonic``.
        command: For the record.
    """

    data: Path
    runs: Path
    results: Path
    overrides: list[str]
    quick: bool
    deadline: float
    command: str

    @property
    def left(self) -> float:
        """Seconds left to work in."""
        return self.deadline - RESERVE - time.monotonic()

    def recipe(self, process: str) -> Any:
        """Return the recipe of ``causal`` or ``masked``."""
        from unmask.training.recipe import load_recipe

        return load_recipe(f"tinystories-{process}", [*(QUICK if self.quick else []), *self.overrides])

    def found(self) -> dict[str, Any]:
        """Return what was measured so far."""
        path = self.runs / "gpu.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"tables": {}}

    def keep(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Store a table, here and with the results."""
        content = self.found()
        content = {**stamp(self.command), "quick": self.quick, "tables": {**content["tables"], name: rows}}
        store(self.runs / "gpu.json", content)
        store(self.results / "gpu.json", content)


def train(bench: Bench, process_name: str) -> bool:
    """Train a recipe from the prepared tokens, or go on with it; return whether it is finished."""
    from benchmarks.lib.accelerator import measured_flops, peak_flops, training_flops
    from benchmarks.lib.parts import train_on
    from benchmarks.lib.prepared import open_prepared
    from unmask.training.recipe import load_recipe
    from unmask.training.run import MANIFEST, RECIPE, Run

    prepared = open_prepared(bench.data)
    folder = bench.runs / f"tinystories-{process_name}"
    resume = (folder / MANIFEST).is_file()
    if resume and json.loads((folder / MANIFEST).read_text())["status"] == "finished":
        run = Run.open(folder)
    else:
        recipe = load_recipe(folder / RECIPE) if resume else bench.recipe(process_name)
        blocks = prepared.blocks("train")
        if recipe.data.length != blocks.length:
            raise Error(f"{bench.data} has blocks of {blocks.length} tokens, the recipe wants {recipe.data.length}.")
        data = (prepared, prepared.tokenizer, blocks, prepared.blocks("valid"))
        with interrupted_after(bench.left):
            run = train_on(recipe, folder, data, resume)
    manifest = run.manifest
    finished = manifest["status"] == "finished"
    model = run.model()
    length = run.recipe.data.length
    flops = training_flops(model, run.process, length)
    rate = manifest["tok_per_s"] * length / (length - 1)  # the network also reads each block's BOS
    peak, product = peak_flops(), measured_flops(256 if bench.quick else 8192)
    row: dict[str, Any] = {
        "run": run.name,
        "status": f"{manifest['status']}, {manifest['steps']:,} of {run.recipe.training.max_steps:,} steps",
        "parameters": manifest["parameters"],
        "tokens seen": manifest["tokens_seen"],
        "epochs": manifest["tokens_seen"] / prepared.blocks("train").tokens,
        "tok/s": manifest["tok_per_s"],
        "precision": manifest["precision"],
        "MFU, data sheet": rate * flops / peak if peak else None,
        "MFU, measured matrix product": rate * flops / product,
    }
    if finished:
        bits, bound = held_out_bits(model, run.process, prepared)
        row |= {"bits per byte in blocks": bits, "bound": bound}
    bench.keep(f"training {process_name}", [row])
    return finished


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Press Ctrl-C after some seconds, which makes training save and stop."""
    timer = threading.Timer(max(seconds, 1.0), os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def held_out_bits(model: Any, process: Any, prepared: Any) -> tuple[float, str]:
    """Return bits per byte of the prepared valid blocks, each read by itself, and the kind of bound."""
    import math

    import torch

    from unmask.data.batch import Batch

    blocks = prepared.blocks("valid")
    nats, bound = 0.0, ""
    with torch.inference_mode():
        for start in range(0, len(blocks), 16):
            index = list(range(start, min(start + 16, len(blocks))))
            batch = Batch(*blocks.rows(index), torch.tensor(index), prepared.tokenizer.bos_id).to(model.device)
            result = process.likelihood(model, batch, draws=8, seed=0)
            nats, bound = nats + float(result.nats.sum()), result.bound
    return nats / math.log(2) / blocks.bytes, bound
