"""Rules of acceptance at equal calls: distance from the truth in known worlds, and texts of trained runs.

    python -m benchmarks.studies.few_steps.acceptance [--run RUN]... [--texts 64] [--tokens 128] [--quick]

In the worlds the network is perfect and the laws are exact; rows with noise are those of ``equal_calls.json``. A run
writes texts (shorter ones where its context ends before) under each rule and many of its levels; an n-gram of
bytes, fitted on documents that no run has seen, judges them. Results go to ``benchmarks/results/acceptance.json``, each
part beside what is there of the others. ``--quick`` keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.studies.sampling.equal_calls import RESULT as EQUAL_CALLS
from benchmarks.studies.sampling.equal_calls import measure, words_of
from unmask.certificates.ground import Ground
from unmask.certificates.worlds import PHRASES, WORLDS, phrases_world
from unmask.data.corpus import documents
from unmask.data.ngram import ByteNgram
from unmask.evaluation.intervals import ratio_interval
from unmask.evaluation.judge import NgramJudge
from unmask.evaluation.text import real_like, text_quality
from unmask.sampling import SAMPLERS, Ancestral, Confidence, fill_request, generate
from unmask.sampling.sampler import Sampler
from unmask.training.held_out import corpus_of
from unmask.training.run import Run

RESULT = RESULTS / "acceptance.json"
NEAR = 0.02
"""Total variation from the truth that counts as near."""
SPELLING = ((0, 1, 2, 0), (1, 1, 0, 2), (2, 0, 0, 1))
"""Words of four letters that the first one tells apart, of which a text has two."""
Way = tuple[str, dict[str, Any]]
"""A rule, as tables call it, and settings of ``confidence``."""


def rules() -> Iterator[Way]:
    """Yield the adaptive rules and their levels."""
    for budget in (0.1, 0.5, 2.0, 8.0):
        yield "entropy", {"accept": "entropy", "entropy_budget": budget}
    for level in (0.9, 0.7, 0.5, 0.3, 0.2):
        yield "threshold", {"accept": "threshold", "sure_above": level}
    for budget in (0.5, 1.0, 2.0, 4.0, 8.0):
        yield "profile", {"accept": "profile", "doubt_budget": budget}
    for level, nats, looks in ((0.9, 0.01, 2), (0.6, 0.1, 1), (0.3, 0.1, 1), (0.3, 0.5, 1)):
        yield "stable", {"accept": "stable", "sure_above": level, "stable_nats": nats, "stable_looks": looks}


def rules_in_text() -> Iterator[Way]:
    """Yield the adaptive rules at levels that are met in the texts of small networks."""
    for budget in (0.5, 2.0, 8.0):
        yield "entropy", {"accept": "entropy", "entropy_budget": budget}
    for level in (0.8, 0.5, 0.3):
        yield "threshold", {"accept": "threshold", "sure_above": level}
    for budget in (1.0, 4.0):
        yield "profile", {"accept": "profile", "doubt_budget": budget}
    for level, nats in ((0.5, 0.1), (0.3, 0.5)):
        yield "stable", {"accept": "stable", "sure_above": level, "stable_nats": nats, "stable_looks": 1}


def in_worlds(quick: bool) -> dict[str, Any]:
    """Return calls and distance from the truth of every rule in every world."""
    worlds = {name: (WORLDS.get(name)(), words_of(name)) for name in WORLDS}
    found = {}
    for name, (world, length) in worlds.items():
        ground = Ground(name, world, 3 if quick else length)
        ways: list[tuple[str, Sampler, dict[str, Any]]] = []
        for steps in range(1, ground.length + 1):
            ways += [("count", Confidence(), {"steps": steps, "reveal": "linear"})]
            ways += [("ancestral", Ancestral(), {"steps": steps})]
        ways += [(rule, Confidence(), {"steps": 64, **given}) for rule, given in rules()]
        rows = [{"rule": rule, **measure(sampler, given, ground, 0, 0)} for rule, sampler, given in ways]
        counted = json.loads(EQUAL_CALLS.read_text())["worlds"][name]["rows"]
        rows += [{"rule": "count with noise", **row} for row in counted if "confidence_noise" in row["way"]]
        found[name] = {"words": ground.length, "texts": len(ground.truth), "rows": rows}
    return found


def saved(quick: bool) -> list[dict[str, Any]]:
    """Return, by how often worlds of phrases stray, the fewest calls that each rule needs to be near the truth."""
    levels = {
        "count": [{"steps": steps, "reveal": "linear"} for steps in range(1, 9)],
        "entropy": [{"accept": "entropy", "entropy_budget": x} for x in (0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6)],
        "threshold": [{"accept": "threshold", "sure_above": x} for x in (0.5, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.998)],
        "profile": [{"accept": "profile", "doubt_budget": x} for x in (0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 1.5)],
        "stable": [
            {"accept": "stable", "sure_above": x, "stable_nats": nats, "stable_looks": 1}
            for x in (0.5, 0.8, 0.95, 0.99)
            for nats in (0.001, 0.1, 3.0)
        ],
    }
    found = []
    worlds = {"phrases": (6, PHRASES), "spelling": (8, SPELLING)}
    for (name, (length, known)), stray in product(worlds.items(), (0.1, 0.03, 0.01, 0.001)):
        ground = Ground(name, phrases_world(stray, known), 3 if quick else length)
        row: dict[str, Any] = {"world": name, "words": ground.length, "stray": stray}
        row["nats"] = round(ground.world.entropy(ground.length), 3)
        for rule, ways in levels.items():
            seen = [measure(Confidence(), {"steps": 64, **given}, ground, 0, 0) for given in ways[:: 3 if quick else 1]]
            near = [one for one in seen if one["tv"] <= NEAR]
            row[rule] = min(near, key=lambda one: one["calls"]) if near else None
        found.append(row)
    return found


def in_text(masked: bool, tokens: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (rule, sampler, settings) of all that a run writes by."""
    for name, noise in {"": {}, " with noise": {"confidence_noise": 1.0}}.items():
        if masked:
            for steps in (4, 8, 16, 24, tokens):
                yield f"count{name}", "confidence", {"steps": steps, **noise}
            for rule, given in rules_in_text():
                yield f"{rule}{name}", "confidence", {"steps": tokens, **given, **noise}
            continue
        block = {"block_size": 8, "rule": "confidence", **noise}
        for steps in (1, 2, 4, 6, 8):
            yield f"count{name}", "block", {"steps": steps, **block}
        for rule, given in rules_in_text():
            yield f"{rule}{name}", "block", {"steps": 8, **block, **given}
    if not masked:
        return
    for steps in (8, 16, tokens):
        yield "ancestral", "ancestral", {"steps": steps}
    aria = {"top_k": 50, "reveal": "linear"}
    for steps in (8, 12, 16):
        yield "Aria", "confidence", {"steps": steps, **aria}
    for stop in (0.95, 0.98, 0.99):
        yield "Aria", "confidence", {"steps": 16, "confidence_stop": stop, **aria}


def texts_of(run: Run, count: int, tokens: int, quick: bool) -> dict[str, Any]:
    """Return calls and what is said of the texts of every rule, the real text's measures beside them."""
    model, words, corpus = run.model("cpu"), run.tokenizer.vocabulary, corpus_of(run)
    judge = NgramJudge(ByteNgram().fit(text.encode() for text in documents(corpus.split("judge"))), name="judge")
    masked, room = run.process.visibility == "bidirectional", int(model.config.max_position_embeddings) - 1
    tokens = min(12 if quick else tokens, room)
    rows: list[dict[str, Any]] = []
    written = [""]
    for rule, sampler, given in list(in_text(masked, tokens))[:: 9 if quick else 1]:
        settings = SAMPLERS.facts(sampler)(**given, ignore_eos=True)
        asked = [fill_request([], tokens, words, settings, index=i) for i in range(count)]
        done = generate(model, SAMPLERS.get(sampler)(), asked, words, batch_size=64)
        written = [run.tokenizer.decode(sample.written) for sample in done]
        calls = sum(sample.forwards for sample in done) / len(done)
        rows.append(
            {"rule": rule, "sampler": sampler, "settings": given, "calls": round(calls, 2), **said(written, judge)}
        )
        say(f"{run.name}: {rule} {given}: {calls:.1f} calls, {rows[-1]['judge, bits per byte']} bits")
    real = said(real_like(written, list(documents(corpus.split("valid")))[:500]), judge)
    told = {key: run.manifest.get(key) for key in ("parameters", "tokens_seen")}
    return {"process": run.recipe.process.name, **told, "tokens": tokens, "texts": count, "real": real, "rows": rows}


def said(texts: list[str], judge: NgramJudge) -> dict[str, Any]:
    """Return what the judge and the counts say of texts."""
    counts = text_quality(texts)
    nats = np.array([np.sum(judge.model.nats(text.encode())[:-1]) for text in texts])
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.float64)
    span = ratio_interval(nats / math.log(2), sizes)
    return {
        "judge, bits per byte": round(float(nats.sum() / math.log(2) / sizes.sum()), 4),
        "its interval": None if span is None else [round(end, 4) for end in span],
        "entropy, bits a word": round(counts.entropy, 3),
        "distinct-2": round(counts.distinct_2, 4),
        "repeated 4-grams": round(counts.repeated_4, 4),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and keep it unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    options.add_argument("--run", type=Path, action="append", default=[], help="a trained masked or block run")
    options.add_argument("--texts", type=int, default=64, help="texts of each way that are judged")
    options.add_argument("--tokens", type=int, default=128, help="tokens of each text")
    options.add_argument("--quick", action="store_true", help="few texts and ways: does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    machine = {"date": datetime.now(UTC).date().isoformat(), "machine": platform.machine(), "threads": 1, "seed": 0}
    found: dict[str, dict[str, Any]] = {"worlds": {}, "runs": {}}
    if not given.run:
        found["worlds"] = {**machine, "worlds": in_worlds(given.quick), "saved": saved(given.quick)}
        print(json.dumps(found["worlds"]))
    for path in given.run:
        run = Run.open(path)
        found["runs"][run.name] = {
            **machine,
            **texts_of(run, 2 if given.quick else given.texts, given.tokens, given.quick),
        }
    if not given.quick:
        kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        kept |= {name: {**kept.get(name, {}), **part} for name, part in found.items()}
        RESULT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
