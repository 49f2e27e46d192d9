"""What is written how fast on one core: left to right with a cache, in blocks under each rule, on a whole canvas.

    python -m benchmarks.studies.block.frontier --causal RUN --block RUN --masked RUN

Batch 1 and 8, 256 tokens (fewer where the context ends before): tokens a second of one thread's processor time, so that
a busy machine counts only by what shares its caches, and of the same settings' texts the judge's bits per byte, the
entropy of their words and their repeats, with the real text beside. The block run is also written left to right. The
judge is an n-gram of bytes, fitted on documents that no run has seen. Rivals take turns. Results go to
``benchmarks/results/block_frontier.json``. ``--quick`` writes a few tokens and keeps nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.measure import Spread, say, take_turns
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.data.corpus import documents
from unmask.data.ngram import ByteNgram
from unmask.evaluation.judge import NgramJudge
from unmask.evaluation.text import real_like, text_quality
from unmask.sampling import SAMPLERS, fill_request, generate
from unmask.sampling.settings import Settings
from unmask.training.held_out import corpus_of
from unmask.training.run import Run

RESULT = RESULTS / "block_frontier.json"
TOKENS = 256
Way = tuple[str, str, dict[str, Any]]
"""Run, sampler, settings."""


def ways() -> list[Way]:
    """Return (run, sampler, settings) of all that is compared."""
    found: list[Way] = [("causal", "autoregressive", {}), ("block", "autoregressive", {})]
    for size in (4, 8, 16):
        per_block = {"block_size": size}
        for steps in (size // 4, size // 2, size):
            found += [
                ("block", "block", {**per_block, "rule": rule, "steps": steps}) for rule in ("ancestral", "remasking")
            ]
            linear = {"rule": "confidence", "steps": steps, "reveal": "linear"}
            found += [("block", "block", {**per_block, **linear, **noise}) for noise in ({}, {"confidence_noise": 1.0})]
        for budget in (0.1, 0.5, 2.0):
            found.append(("block", "block", {**per_block, "rule": "entropy-bound", "entropy_budget": budget}))
    found += [("masked", "confidence", {"steps": n, "confidence_noise": 1.0}) for n in (16, 64)]
    return [*found, ("masked", "ancestral", {"steps": 64}), ("masked", "entropy-bound", {"entropy_budget": 0.5})]


def label(way: Way) -> str:
    """Return a row's name."""
    run, sampler, given = way
    return " ".join([f"{run}:", sampler, *(f"{key}={value}" for key, value in given.items())])


class Writer:
    """Writes with the runs, each opened once."""

    def __init__(self, runs: dict[str, Run], tokens: int) -> None:
        self.runs, self.models = runs, {name: run.model("cpu") for name, run in runs.items()}
        room = min(int(model.config.max_position_embeddings) for model in self.models.values()) - 1
        self.tokens = min(tokens, room)

    def write(self, way: Way, count: int, batch: int, **more: Any) -> list[str]:
        """Return so many texts; ``more`` are further settings."""
        name, sampler, given = way
        run = self.runs[name]
        settings: Settings = SAMPLERS.facts(sampler)(**given, **more)
        words = run.tokenizer.vocabulary
        asked = [fill_request([], self.tokens, words, settings, index=i) for i in range(count)]
        done = generate(self.models[name], SAMPLERS.get(sampler)(), asked, words, batch_size=batch)
        return [run.tokenizer.decode(sample.written) for sample in done]


def speeds(writer: Writer, chosen: list[Way], batch: int, turns: int) -> dict[str, list[float]]:
    """Return tokens a second of each way, turn by turn."""

    def once(way: Way) -> float:
        began = time.thread_time()
        writer.write(way, batch, batch, seed=1, ignore_eos=True)
        return time.thread_time() - began

    found = take_turns({label(way): lambda way=way: once(way) for way in chosen}, turns)
    return {name: [batch * writer.tokens / seconds for seconds in taken] for name, taken in found.items()}


def quality(texts: list[str], judge: NgramJudge) -> dict[str, float | None]:
    """Return what the judge and the counts say of texts."""
    counts = text_quality(texts)
    return {
        "judge, bits per byte": judge.bits(texts),
        "entropy, bits a word": counts.entropy,
        "distinct-2": counts.distinct_2,
        "repeated 4-grams": counts.repeated_4,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and keep it unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    for name in ("causal", "block", "masked"):
        options.add_argument(f"--{name}", type=Path, required=True, help=f"a trained {name} run")
    options.add_argument("--texts", type=int, default=64, help="texts of each way that are judged")
    options.add_argument("--turns", type=int, default=5, help="timed turns of each way")
    options.add_argument("--quick", action="store_true", help="a few tokens and ways: does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    runs = {name: Run.open(getattr(given, name)) for name in ("causal", "block", "masked")}
    writer = Writer(runs, 16 if given.quick else TOKENS)
    chosen = ways()[:: 6 if given.quick else 1]
    texts, turns = (2, 1) if given.quick else (given.texts, given.turns)
    corpus = corpus_of(runs["block"])
    judge = NgramJudge(ByteNgram().fit(text.encode() for text in documents(corpus.split("judge"))), name="judge")
    rows: dict[str, dict[str, Any]] = {}
    for way in chosen:
        say(label(way))
        written = writer.write(way, texts, min(texts, 32), seed=0)
        rows[label(way)] = {"run": way[0], **quality(written, judge), "text": written[0][:200]}
    real = real_like(writer.write(chosen[0], texts, min(texts, 32)), list(documents(corpus.split("valid")))[:500])
    rows["real text, as many words"] = quality(real, judge)
    for batch in (1, 8):
        say(f"speed, batch {batch}")
        for name, samples in speeds(writer, chosen, batch, turns).items():
            spread = Spread.of(samples)
            rows[name] |= {
                f"tokens/s, batch {batch}": spread.median,
                f"quartiles, batch {batch}": [spread.low, spread.high],
            }
    print(table(rows))
    if not given.quick:
        told = {
            name: {key: run.manifest.get(key) for key in ("parameters", "tokens_seen")} for name, run in runs.items()
        }
        command = f"python -m {__spec__.name} --causal RUN --block RUN --masked RUN"
        kept = {**stamp(command), "tokens": writer.tokens, "texts": texts, "turns": turns, "runs": told, "rows": rows}
        store(RESULT, kept)
    return 0


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the rows as markdown."""
    keys = ["tokens/s, batch 1", "tokens/s, batch 8", "judge, bits per byte", "entropy, bits a word"]
    keys += ["distinct-2", "repeated 4-grams"]
    lines = [f"| written by | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    for name, row in rows.items():
        cells = ("-" if row.get(key) is None else f"{row[key]:.4g}" for key in keys)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
