"""What a verifier buys: words a call and time when it reads drafts, quality when it has spans written again.

    python -m benchmarks.studies.few_steps.verifier --causal RUN --masked RUN --block RUN [--name nano]

*lossless*: held-out stories, of which a part is the prompt and the next words are written (novel); the same behind
themselves, so that copying is easy (copying). Words a verifier call, the share of drafted words that held, processor
time a word against the same verifier left to right with its cache, in turns. *repair*: texts before, after, and with
as many spans opened at random, or those the writer was least sure of: bits per byte of an n-gram judge, which is not
the verifier, entropy, repeats. Results: ``benchmarks/results/verifier.json``, by name; ``--quick`` keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.lib.measure import Spread, ratios, say, take_turns
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.data.corpus import documents
from unmask.data.ngram import ByteNgram
from unmask.evaluation.judge import NgramJudge
from unmask.evaluation.text import real_like, text_quality
from unmask.sampling import SAMPLERS, Request, Sample, Sampler, Settings, canvas, fill_request, generate
from unmask.sampling.autoregressive import Autoregressive
from unmask.sampling.drafters import Copies, Drafter, Drawn
from unmask.sampling.repair import Repair
from unmask.sampling.speculative import Speculative
from unmask.sampling.state import SamplerState
from unmask.sampling.verifier_settings import RepairSettings, SpeculativeSettings
from unmask.training.held_out import corpus_of
from unmask.training.run import Run

RESULT = RESULTS / "verifier.json"
SHOWN, WRITTEN = 48, 48
"""Words of a prompt, and words that are written behind it."""
SPANS = (2, 4, 8)


@dataclass(frozen=True)
class Way:
    """One way to write: a verifier, what drafts for it (``None``: nothing), words of a draft, and the temperature."""

    verifier: str
    drafter: str | None = None
    span: int = 1
    temperature: float = 1.0

    def __str__(self) -> str:
        drafts = "left to right" if self.drafter is None else f"drafts of {self.span} by {self.drafter}"
        return f"{self.verifier}: {drafts}" + ("" if self.temperature == 1 else f", temperature {self.temperature:g}")


def ways(spans: Sequence[int]) -> list[Way]:
    """Return all that is compared; each verifier left to right first."""
    found = []
    for temperature in (1.0, 0.0):
        for verifier, drafters in (("causal", ("copies", "block", "masked")), ("block", ("copies", "its own blocks"))):
            found.append(Way(verifier, None, 1, temperature))
            tried = spans if temperature else spans[-1:]
            found += [Way(verifier, drafter, span, temperature) for drafter in drafters for span in tried]
    return found


class Lossless:
    """Writes with the runs' networks."""

    def __init__(self, runs: dict[str, Run], models: dict[str, Any]) -> None:
        self.models, self.words = models, runs["causal"].tokenizer.vocabulary

    def sampler(self, way: Way) -> Sampler:
        """Return what writes."""
        if way.drafter is None:
            return Autoregressive()
        drafters: dict[str, Drafter] = {
            "copies": Copies(),
            "block": Drawn(self.models["block"], "block"),
            "masked": Drawn(self.models["masked"], "bidirectional"),
            "its own blocks": Drawn(None, "block"),
        }
        return Speculative(drafters[way.drafter])

    def write(self, way: Way, prompts: list[list[int]], batch: int, seed: int = 0) -> list[Sample]:
        """Return what is written behind prompts."""
        given = {"temperature": way.temperature, "seed": seed, "ignore_eos": True}
        kind: type[Settings] = SAMPLERS.facts("autoregressive") if way.drafter is None else SpeculativeSettings
        own = kind(**given) if way.drafter is None else kind(**given, span=way.span)
        asked = [fill_request(prompt, WRITTEN, self.words, own, index=i) for i, prompt in enumerate(prompts)]
        return generate(self.models[way.verifier], self.sampler(way), asked, self.words, batch_size=batch)


def told(samples: list[Sample]) -> dict[str, float]:
    """Return words a call of the verifier and the share of drafted words that held."""
    words = sum(len(sample.written) for sample in samples)
    checked = [sample.checked for sample in samples if sample.checked is not None]
    if not checked:
        return {"words a verifier call": words / sum(sample.forwards for sample in samples), "calls a word": 1.0}
    calls, proposed = sum(one.calls for one in checked), sum(one.proposed for one in checked)
    accepted = sum(one.verdicts.count(1) for one in checked)
    return {
        "words a verifier call": words / calls,
        "calls a word": sum(sample.forwards for sample in samples) / words,
        "drafted words a call": proposed / calls,
        "accepted words a call": accepted / calls,
        "share accepted": accepted / max(1, proposed),
    }


def processor(writer: Lossless, way: Way, prompts: list[list[int]], batch: int) -> float:
    """Return the processor time of writing behind prompts."""
    began = time.process_time()
    writer.write(way, prompts, batch, seed=1)
    return time.process_time() - began


def lossless(writer: Lossless, prompts: dict[str, list[list[int]]], chosen: list[Way], turns: int) -> dict[str, Any]:
    """Return, of each kind of prompt and way, what was accepted and what a word costs."""
    found: dict[str, Any] = {}
    for kind, given in prompts.items():
        rows: dict[str, Any] = {}
        for way in chosen:
            say(f"{kind}: {way}")
            rows[str(way)] = told(writer.write(way, given, 16))
        for batch in (1, 8):
            cases = {str(way): partial(processor, writer, way, given[:batch], batch) for way in chosen}
            taken = take_turns(cases, turns)
            for way in chosen:
                base = str(Way(way.verifier, None, 1, way.temperature))
                cost = Spread.of(ratios(taken[str(way)], taken[base]))
                rows[str(way)] |= {
                    f"ms a word, batch {batch}": Spread.of(taken[str(way)]).median / batch / WRITTEN * 1e3,
                    f"time against left to right, batch {batch}": [cost.median, cost.low, cost.high],
                }
        found[kind] = rows
    return found


class Control(Repair):
    """Opens as many spans as the verifier would, chosen otherwise."""

    def key(self, state: SamplerState, told: Tensor) -> Tensor:
        """Return what spans are ordered by: the smallest are opened."""
        raise NotImplementedError

    def unlikely(self, state: SamplerState, spans: Tensor, told: Tensor) -> Tensor:
        """Return other spans of words that were written."""
        count = super().unlikely(state, spans, told).sum(1, keepdim=True)
        number = (torch.arange(state.tokens.shape[1]) - 1).clamp(min=0) // self.how.span
        words = torch.zeros(spans.shape).index_add(1, number, state.loose.float()) > 0
        order = self.key(state, told).masked_fill(~words, torch.inf)
        return words & (order.argsort(1).argsort(1) < count)


class AtRandom(Control):
    """By chance."""

    def key(self, state: SamplerState, told: Tensor) -> Tensor:
        """Return uniform numbers."""
        return state.noise.uniform("control", told.shape[1])


class Unsure(Control):
    """By the writer's own confidence: no verifier would be needed."""

    def key(self, state: SamplerState, told: Tensor) -> Tensor:
        """Return the mean log-confidence of the words of each span."""
        number = (torch.arange(state.tokens.shape[1]) - 1).clamp(min=0) // self.how.span
        sure = torch.where(state.loose, state.confidence.double().log(), 0.0)
        total = torch.zeros(told.shape, dtype=torch.float64).index_add(1, number, sure)
        count = torch.zeros(told.shape, dtype=torch.float64).index_add(1, number, state.loose.double())
        return total / count.clamp(min=1)


WRITERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "masked, confidence, 16 steps for 96 words": ("masked", "confidence", {"steps": 16, "confidence_noise": 1.0}),
    "block of 8, ancestral, 4 steps": ("block", "block", {"rule": "ancestral", "block_size": 8, "steps": 4}),
}
REPAIRS: dict[str, RepairSettings] = {
    "half read": RepairSettings(),
    "all read": RepairSettings(suspect=1.0),
    "all read, 3 rounds of spans of 4": RepairSettings(suspect=1.0, span=4, unlikely=0.5, rounds=3),
}


def repair(
    runs: dict[str, Run], models: dict[str, Any], judge: NgramJudge, prompts: list[list[int]], length: int
) -> dict[str, dict[str, Any]]:
    """Return, of each writer, its texts' measures before, after, and after the controls."""
    found: dict[str, dict[str, Any]] = {}
    tokenizer = runs["causal"].tokenizer
    for name, (run, sampler, given) in WRITERS.items():
        own: Sampler = SAMPLERS.get(sampler)()
        settings = SAMPLERS.facts(sampler)(**given, ignore_eos=True)
        kinds: dict[str, Sampler] = {"before": own}
        for how, wanted in REPAIRS.items():
            for what, kind in {"verifier": Repair, "at random": AtRandom, "least sure": Unsure}.items():
                kinds[f"{how}: {what}"] = kind(own, models["causal"], wanted)
        for label, each in kinds.items():
            say(f"{name}: {label}")
            asked = [
                Request(canvas([prompt, []], [length], tokenizer.vocabulary)[0], settings, i)
                for i, prompt in enumerate(prompts)
            ]
            samples = generate(models[run], each, asked, tokenizer.vocabulary, batch_size=16)
            found[f"{name} | {label}"] = measured(samples, judge, tokenizer)
    return found


def measured(samples: list[Sample], judge: NgramJudge, tokenizer: Any) -> dict[str, Any]:
    """Return what the judge and the counts say of what was written, and what it took."""
    texts = [tokenizer.decode(sample.written) for sample in samples]
    counts, words = text_quality(texts), sum(len(sample.written) for sample in samples)
    row = {
        "judge, bits per byte": judge.bits(texts),
        "entropy, bits a word": counts.entropy,
        "distinct-2": counts.distinct_2,
        "repeated 4-grams": counts.repeated_4,
        "calls a text": sum(sample.forwards for sample in samples) / len(samples),
    }
    checked = [sample.checked for sample in samples if sample.checked is not None]
    if checked:
        row["share rewritten"] = sum(one.verdicts.count(2) for one in checked) / words
        row["share skipped"] = sum(one.verdicts.count(3) for one in checked) / words
        row["tokens read a token"] = sum(one.read for one in checked) / words
    return row


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables, and keep them unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    for name in ("causal", "masked", "block"):
        options.add_argument(f"--{name}", type=Path, required=True, help=f"a trained {name} run")
    options.add_argument("--name", default="nano", help="what the runs are called in the results")
    options.add_argument("--texts", type=int, default=16, help="prompts of each kind")
    options.add_argument("--turns", type=int, default=3, help="timed turns of each way")
    options.add_argument("--quick", action="store_true", help="a few texts and ways: does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    runs = {name: Run.open(getattr(given, name)) for name in ("causal", "masked", "block")}
    models = {name: run.model("cpu") for name, run in runs.items()}
    texts, turns, spans = (2, 1, (2,)) if given.quick else (given.texts, given.turns, SPANS)
    corpus, tokenizer = corpus_of(runs["causal"]), runs["causal"].tokenizer
    held = [tokenizer.encode(text) for text in documents(corpus.split("valid"))]
    held = [ids for ids in held if len(ids) >= SHOWN + WRITTEN][:texts]
    prompts = {
        "novel": [ids[:SHOWN] for ids in held],
        "copying": [ids[: SHOWN + WRITTEN] * 2 for ids in held],
    }
    prompts["copying"] = [both[: 2 * SHOWN + WRITTEN] for both in prompts["copying"]]
    rows = lossless(Lossless(runs, models), prompts, ways(spans), turns)
    judge = NgramJudge(ByteNgram().fit(text.encode() for text in documents(corpus.split("judge"))), name="judge")
    mended = repair(runs, models, judge, [ids[:16] for ids in held], 96)
    real = [tokenizer.decode(ids[16 : 16 + 96]) for ids in held]
    mended["real text"] = {
        "judge, bits per byte": judge.bits(real),
        "entropy, bits a word": text_quality(real_like(real, real)).entropy,
        "distinct-2": text_quality(real).distinct_2,
        "repeated 4-grams": text_quality(real).repeated_4,
    }
    for title, table in {**rows, "repair": mended}.items():
        print(f"\n{title}\n{tabled(table)}")
    if not given.quick:
        size = {
            name: {key: run.manifest.get(key) for key in ("parameters", "tokens_seen")} for name, run in runs.items()
        }
        kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        kept[given.name] = {
            **stamp(f"python -m {__spec__.name} --causal RUN --masked RUN --block RUN --name {given.name}"),
            "runs": size,
            "texts": texts,
            "turns": turns,
            "shown": SHOWN,
            "written": WRITTEN,
            "lossless": rows,
            "repair": mended,
        }
        store(RESULT, kept)
    return 0


def tabled(rows: dict[str, dict[str, Any]]) -> str:
    """Return rows as markdown."""
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [f"| written by | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    for name, row in rows.items():
        cells = [row.get(key) for key in keys]
        shown = ["-" if cell is None else f"{cell[0] if isinstance(cell, list) else cell:.3g}" for cell in cells]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
