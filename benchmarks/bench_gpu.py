"""``make bench-gpu``: the 17 M parameter, 10,000-step recipes on prepared token files, in pieces of under ten minutes.

    python -m benchmarks.bench_gpu --piece prepare [--source TEXT]    on any machine: packs a corpus, <= 50 MB
    python -m benchmarks.bench_gpu --piece all --minutes 9            where the GPU is: needs no corpus and no network

A piece that runs out of its minutes saves and goes on in the next call: training from its last checkpoint to the same
weights, sampling from its last finished cell. Pieces: prepare, train-causal, train-masked, speed, sample; ``all`` is
all but prepare.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import number, say, stamp, store, table
from unmask.errors import Error

PIECES = ("train-causal", "train-masked", "speed", "sample")
RESULTS = Path(__file__).parent / "results"
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
    from benchmarks.accelerator import measured_flops, peak_flops, training_flops
    from benchmarks.parts import train_on
    from benchmarks.prepared import open_prepared
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


def speed(bench: Bench) -> bool:
    """Time bare training steps at growing batches: where the launch of small kernels stops being the limit."""
    import torch

    from benchmarks.accelerator import device, peak_flops, synchronize, training_flops
    from benchmarks.measure import Spread, timed
    from benchmarks.prepared import open_prepared
    from unmask.data.batch import Batch
    from unmask.training.hardware import use_bf16
    from unmask.training.plan import make_model
    from unmask.training.run import make_process

    prepared = open_prepared(bench.data)
    blocks = prepared.blocks("train")
    peak = peak_flops()
    rows = bench.found()["tables"].get("training speed, bare loop", [])
    for name in ("causal", "masked"):
        recipe = bench.recipe(name)
        bf16 = use_bf16(recipe.training.precision)
        for batch_size in (2, 4) if bench.quick else (16, 64, 256):
            if any((row["process"], row["batch"]) == (name, batch_size) for row in rows):
                continue
            if bench.left < (0 if bench.quick else CELL):
                return False
            say(f"speed: {name}, batch {batch_size}")
            process = make_process(recipe, prepared.tokenizer.vocabulary)
            model = make_model(recipe, prepared.tokenizer.vocab_size).to(device())
            optimiser = torch.optim.AdamW(model.parameters(), recipe.training.learning_rate, fused=True)
            steps, turns = (1, 2) if bench.quick else (20, 5)
            if device() == "cpu" and not bench.quick:
                steps, turns = 1, 3
            place, total = 0, steps * (turns + 1)

            def step(
                model: Any = model,
                process: Any = process,
                optimiser: Any = optimiser,
                size: int = batch_size,
                total: int = total,
                bf16: bool = bf16,
            ) -> None:
                nonlocal place
                order = torch.arange(place * size, (place + 1) * size)
                tokens = blocks.rows((order % len(blocks)).tolist())
                batch = Batch(*tokens, order, prepared.tokenizer.bos_id).to(device())
                with torch.autocast(device(), torch.bfloat16, enabled=bf16):
                    loss = process.loss(model, batch, 0, (place + 0.5) / total)["loss"]
                place += 1
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                optimiser.zero_grad()

            def several(step: Callable[[], None] = step, steps: int = steps) -> None:
                for _ in range(steps):
                    step()
                synchronize()

            several()
            rates = [steps * batch_size * (blocks.length - 1) / timed(several) for _ in range(turns)]
            spread = Spread.of(rates)
            flops = training_flops(model, process, blocks.length) * blocks.length / (blocks.length - 1)
            rows.append(
                {
                    "process": name,
                    "batch": batch_size,
                    "tok/s": spread.median,
                    "quartiles": f"{number(spread.low)} to {number(spread.high)}",
                    "MFU, data sheet": spread.median * flops / peak if peak else None,
                }
            )
            bench.keep("training speed, bare loop", rows)
    return True


def sample(bench: Bench) -> bool:
    """Time and measure text: each sampler over steps and batches, quality beside speed; return whether all is done."""
    from benchmarks.prepared import open_prepared
    from unmask.data.ngram import ByteNgram
    from unmask.evaluation.judge import NgramJudge
    from unmask.evaluation.latency import take_turns, timing
    from unmask.evaluation.text import real_like, text_quality
    from unmask.sampling import SAMPLERS, Settings, fill_request, generate
    from unmask.training.run import MANIFEST, Run

    prepared = open_prepared(bench.data)
    tokenizer = prepared.tokenizer
    vocabulary = tokenizer.vocabulary
    length = prepared.info["length"] - 1
    batches = (1, 2) if bench.quick else (1, 8, 32)
    count = 4 if bench.quick else 64
    steps = (2, length) if bench.quick else (8, 16, 32, 64, 128, length)
    ways = {
        "causal": [("autoregressive", Settings())],
        "masked": [("confidence", Settings(steps=n)) for n in steps]
        + [("ancestral", Settings(steps=n)) for n in (length, 2 * length)],
    }
    heading = "sampling"
    rows = bench.found()["tables"].get(heading, [])
    done = {(row["run"], row["sampler"], row["steps"]) for row in rows}
    judge = NgramJudge(ByteNgram().fit(piece for piece in prepared.blocks("judge").pieces(tokenizer) if piece))
    real = [piece.decode("utf-8", "replace") for piece in prepared.blocks("valid").pieces(tokenizer)]

    def row(run: str, sampler: str, steps: int | None, texts: list[str], latency: dict[str, Any]) -> dict[str, Any]:
        quality = text_quality(texts)
        return {
            "run": run, "sampler": sampler, "steps": steps, **latency,
            "judge, bits per byte": judge.bits(texts), "distinct-2": quality.distinct_2,
            "repeated 4-grams": quality.repeated_4,
            "entropy, bits a word": quality.entropy, "text": texts[0][:80].replace("\n", " ").replace("|", "/"),
        }  # fmt: skip

    for name, several in ways.items():
        folder = bench.runs / f"tinystories-{name}"
        if not (folder / MANIFEST).is_file():
            say(f"sample: {folder.name} is not trained yet; run --piece train-{name} first")
            continue
        run = Run.open(folder)
        trained = f"{run.name}, {run.manifest['steps']:,} steps"
        model = run.model()
        for sampler, settings in several:
            used = settings.steps if sampler != "autoregressive" else None
            if (trained, sampler, used) in done:
                continue
            if bench.left < (0 if bench.quick else CELL):
                return False
            say(f"sample: {trained}, {sampler}{f', {used} steps' if used else ''}")
            latency: dict[str, Any] = {}
            for batch in batches:
                each = timing(
                    model, SAMPLERS.get(sampler)(), settings, vocabulary, tokenizer.decode_bytes, length=length,
                    batch=batch, repeats=2 if bench.quick else 5, seconds=3.0,
                )  # fmt: skip
                (cell,) = take_turns([each])
                latency |= {f"s, batch {batch}": cell.median, f"tok/s, batch {batch}": cell.tokens_per_second}
            requests = [fill_request([], length, vocabulary, settings, index=i) for i in range(count)]
            texts = [
                tokenizer.decode(each.written)
                for each in generate(model, SAMPLERS.get(sampler)(), requests, vocabulary, batch_size=32)
            ]
            rows.append(row(trained, sampler, used, texts, latency))
            matched = real_like(texts, real)
            empty = dict.fromkeys(latency)
            bench.keep(heading, rows)
            bench.keep("real text of the same size (the last row's)", [row("real text", "-", None, matched, empty)])
    return True


def main(arguments: list[str] | None = None) -> int:
    """Run a piece; return 0 if it is done, 3 if it wants another call, 2 after a mistake."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--piece", choices=("prepare", *PIECES, "all"), default="all")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop and save after this long; call again to go on")
    parser.add_argument("--source", help="text for --piece prepare; default the recipe's own")
    parser.add_argument("--data", type=Path, default=Path("runs/gpu-tokens"), help="folder of the prepared tokens")
    parser.add_argument("--runs", type=Path, default=Path("runs/gpu"), help="folder of the runs, kept between calls")
    parser.add_argument("--results", type=Path, help="folder of gpu.json; default benchmarks/results")
    parser.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE", help="of both recipes")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    given = parser.parse_args(arguments)
    if given.results is None:
        given.results = given.runs if given.quick else RESULTS
    source = [f"data.source={json.dumps(given.source)}"] if given.source else []
    command = f"python -m benchmarks.bench_gpu --piece {given.piece} --minutes {given.minutes:g}" + "".join(
        f" -o {override}" for override in given.override
    )
    deadline = began + 60 * given.minutes
    bench = Bench(given.data, given.runs, given.results, [*given.override, *source], given.quick, deadline, command)
    try:
        return _pieces(bench, given.piece)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _pieces(bench: Bench, piece: str) -> int:
    if piece == "prepare":
        from benchmarks.prepared import FILE, prepare

        prepared = prepare(bench.recipe("causal"), bench.data)
        size = (bench.data / FILE).stat().st_size
        print(f"{bench.data}: {size / 1e6:.1f} MB, blocks {prepared.info['blocks']}, corpus {prepared.fingerprint}")
        return 0
    work: dict[str, Callable[[], bool]] = {
        "train-causal": lambda: train(bench, "causal"),
        "train-masked": lambda: train(bench, "masked"),
        "speed": lambda: speed(bench),
        "sample": lambda: sample(bench),
    }
    finished = True
    for name in PIECES if piece == "all" else (piece,):
        if bench.left < 0 or not work[name]():
            say(f"out of time in {name}: what is done is kept, call again to go on")
            finished = False
            break
    for heading, rows in bench.found()["tables"].items():
        print(f"## {heading}\n\n" + "\n".join(table(rows)) + "\n")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main())
