"""``make bench-gpu``: the 17 M parameter, 10,000-step recipes on prepared token files, in pieces of under ten minutes.

    python -m benchmarks.speed.gpu --piece prepare [--source TEXT]    on any machine: packs a corpus, <= 50 MB
    python -m benchmarks.speed.gpu --piece all --minutes 9            where the GPU is: needs no corpus and no network

A piece that runs out of its minutes saves and goes on in the next call: training from its last checkpoint to the same
weights, sampling from its last finished cell. Pieces: prepare, train-causal, train-masked, speed, sample; ``all`` is
all but prepare.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.told import number, table
from benchmarks.speed.gpu_train import CELL, Bench, train
from unmask.errors import Error

PIECES = ("train-causal", "train-masked", "speed", "sample")


def speed(bench: Bench) -> bool:
    """Time bare training steps at growing batches: where the launch of small kernels stops being the limit."""
    import torch

    from benchmarks.lib.accelerator import device, peak_flops, synchronize, training_flops
    from benchmarks.lib.measure import Spread, timed
    from benchmarks.lib.prepared import open_prepared
    from unmask.data.batch import Batch
    from unmask.training.combination import make_process
    from unmask.training.network import make_model
    from unmask.training.precision import precision

    prepared = open_prepared(bench.data)
    blocks = prepared.blocks("train")
    peak = peak_flops()
    rows = bench.found()["tables"].get("training speed, bare loop", [])
    for name in ("causal", "masked"):
        recipe = bench.recipe(name)
        bf16 = precision(recipe).bf16
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
    from benchmarks.lib.prepared import open_prepared
    from unmask.data.ngram import ByteNgram
    from unmask.evaluation.judge import NgramJudge
    from unmask.evaluation.latency import take_turns, timing
    from unmask.evaluation.text import real_like, text_quality
    from unmask.sampling import SAMPLERS, fill_request, generate
    from unmask.training.run import MANIFEST, Run

    prepared = open_prepared(bench.data)
    tokenizer = prepared.tokenizer
    vocabulary = tokenizer.vocabulary
    length = prepared.info["length"] - 1
    batches = (1, 2) if bench.quick else (1, 8, 32)
    count = 4 if bench.quick else 64
    steps = (2, length) if bench.quick else (8, 16, 32, 64, 128, length)
    ways = {
        "causal": [SAMPLERS.facts("autoregressive")()],
        "masked": [SAMPLERS.facts("confidence")(steps=n) for n in steps]
        + [SAMPLERS.facts("ancestral")(steps=n) for n in (length, 2 * length)],
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
        for settings in several:
            sampler, used = settings.name, getattr(settings, "steps", None)
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
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
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
    command = f"python -m {__spec__.name} --piece {given.piece} --minutes {given.minutes:g}" + "".join(
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
        from benchmarks.lib.prepared import FILE, prepare

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
