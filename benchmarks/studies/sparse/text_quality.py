"""Texts of many runs, samplers and numbers of steps under the same judges, a seed a value: what few steps cost.

    python -m benchmarks.studies.sparse.text_quality "LABEL=RUN[,SAMPLER][,SETTING=VALUE ...]" ... --steps 4,8,16

Several seeds of one thing share a label. Each row keeps bits per byte under an order-5 n-gram and a small network, both
fitted on documents that no run was trained on, and the counts that betray a collapse; the real text's own figures and
those of its words shuffled stand beside. Rows that are there already are kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.api.compare import auto_judge
from unmask.data.corpus import documents
from unmask.data.ngram import ByteNgram
from unmask.errors import Error
from unmask.evaluation.judge import Judge, NetworkJudge, NgramJudge
from unmask.evaluation.text import real_like, shuffled_words, text_quality
from unmask.reports.generation import Way, write_texts
from unmask.sampling import SAMPLERS
from unmask.sampling.settings import Settings, SteppedSettings
from unmask.training.held_out import corpus_of
from unmask.training.run import Run

RESULT = RESULTS / "text_quality.json"


@dataclass(frozen=True)
class Case:
    """One label, run and way to sample."""

    label: str
    run: Run
    settings: Settings


def parse(text: str) -> Case:
    """Read LABEL=RUN[,SAMPLER][,SETTING=VALUE ...]."""
    label, _, rest = text.partition("=")
    path, *more = rest.split(",")
    run = Run.open(path)
    sampler = more.pop(0) if more and "=" not in more[0] else None
    own = run.recipe.sampler_settings()
    settings = own if sampler in (None, own.name) else SAMPLERS.facts(sampler)()
    given = {key: yaml.safe_load(value) for key, _, value in (pair.partition("=") for pair in more)}
    return Case(label, run, settings.but(**given))


def judges_of(run: Run) -> list[Judge]:
    """Return the n-gram and the network that read only the documents set apart for judges."""
    corpus = corpus_of(run)
    gram = ByteNgram().fit(text.encode() for text in documents(corpus.split("judge")))
    judges: list[Judge] = [NgramJudge(gram, name="n-gram judge")]
    small = auto_judge(run, say)
    if isinstance(small, Run):
        judges.append(NetworkJudge(small.model(), small.process, small.tokenizer, name="AR judge"))
    return judges


def measured(texts: list[str], judges: list[Judge]) -> dict[str, float | None]:
    """Return the figures of some texts."""
    quality = text_quality(texts)
    return {
        **{judge.name: judge.bits(texts) for judge in judges},
        "entropy": quality.entropy,
        "repeated-4": quality.repeated_4,
        "distinct-2": quality.distinct_2,
        "words": quality.words,
    }


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--steps", default="4,8,16,32,64")
    parser.add_argument("--texts", type=int, default=128)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--results", type=Path, default=RESULT)
    given = parser.parse_args()
    cases = [parse(text) for text in given.cases]
    stored = json.loads(given.results.read_text()) if given.results.is_file() else {"rows": {}}
    judges = judges_of(cases[0].run)
    valid = list(documents(corpus_of(cases[0].run).split("valid")))[:500]
    for case in cases:
        model, real = None, None
        stepped = isinstance(case.settings, SteppedSettings)
        for steps in [int(n) for n in given.steps.split(",")] if stepped else [None]:
            seed = case.run.recipe.seed
            key = f"{case.label} | seed {seed}" + ("" if steps is None else f" | {steps} steps")
            if key in stored["rows"]:
                continue
            model = model or case.run.model()
            way = Way(case.settings if steps is None else case.settings.but(steps=steps))
            try:
                texts = write_texts(case.run, model, way, length=given.length, samples=given.texts, seed=seed)
            except Error as error:
                raise SystemExit(f"error: {key}: {error}") from error
            stored["rows"][key] = measured(texts, judges) | {"sample": texts[0][:200], "tokens_seen": _tokens(case.run)}
            if real is None:
                real = real_like(texts, valid)
                stored["rows"].setdefault("real text", measured(real, judges))
                stored["rows"].setdefault("real text, words shuffled", measured(shuffled_words(real), judges))
            say(f"{key}: { {k: v for k, v in stored['rows'][key].items() if k != 'sample'} }")
            command = f"python -m {__spec__.name} CASES --texts {given.texts} --length {given.length}"
            store(given.results, {**stamp(command), "texts": given.texts, "rows": stored["rows"]})


def _tokens(run: Run) -> int:
    return int(run.manifest.get("tokens_seen", 0))


if __name__ == "__main__":
    main()
