"""The rules of a plan held against its rows: whether a choice earns its place beside another one.

    decide:
      - {keep: {network: [eco-8, eco-16]}, against: {network: baseline}, rules: [bits_per_byte <= 1.02x]}
      - {keep: {steps: 8}, against: {steps: 16}, rules: [latency <= 0.8x, judge <= 1.05x]}

``keep`` and ``against`` name axes of the grid, or settings of samplers. Each row with the first choice is held against
the row that differs from it in nothing else; with settings each way to sample a row against such a way of the same row.
A setting of ``null`` stands for the way that does not give it.

Bits per byte are compared over documents and all seeds; what is said of generated text is that of the first seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unmask.errors import Error, nearest
from unmask.evaluation.rules import parse_rule
from unmask.reports.decide import Evidence, Question, decide
from unmask.reports.rows import Decision, Row, TextRow
from unmask.sweeps.expand import in_words
from unmask.sweeps.plan import Decide, SweepPlan
from unmask.sweeps.results import Configuration, SampleRow, SweepRow
from unmask.sweeps.score import read_score

Choice = dict[str, Any]


def check_decisions(plan: SweepPlan) -> None:
    """Raise Error if a question of the plan names what is no choice of it, or a rule cannot be read."""
    settings = {key for section in plan.samplers for key in section if key != "name"}
    for number, asked in enumerate(plan.decide, start=1):
        place = f"question {number} under decide of the plan"
        if set(asked.keep) != set(asked.against):
            raise Error(f"{place} must name the same axes in keep and against.")
        axes = set(asked.keep)
        if unknown := axes - set(plan.grid) - settings:
            known = [*plan.grid, *sorted(settings)]
            raise Error(f"{place} names {min(unknown)!r}, no axis of the plan.{nearest(min(unknown), known)}")
        if axes & set(plan.grid) and axes - set(plan.grid):
            raise Error(f"{place} mixes axes of the grid with settings of samplers; ask of one kind at a time.")
        for axis in axes & set(plan.grid):
            for value in [*_listed(asked.keep[axis]), asked.against[axis]]:
                if value not in list(plan.grid[axis]):
                    raise Error(f"{place}: {value!r} is no choice of {axis!r}.{nearest(str(value), plan.grid[axis])}")
        for rule in asked.rules:
            parse_rule(rule)


def decisions(
    plan: SweepPlan,
    rows: Sequence[SweepRow],
    found: Sequence[Configuration],
    samples: Sequence[SampleRow],
    folder: Path,
) -> list[Decision]:
    """Answer the questions of a plan, for every row that is scored and has the one it is held against.

    Args:
        plan: The plan.
        rows: Its rows.
        found: They, grouped over seeds.
        samples: The ways to sample that were tried.
        folder: The sweep's.
    """
    if not plan.decide:
        return []
    made = {one.label: _row(one, rows, samples) for one in found}
    scores = {label: [read_score(folder / "rows" / row.id) for row in _scored(label, rows)] for label in made}
    first = next(iter(scores.values()), [])
    judges = next((list(one.text.judges) for one in samples), [])
    evidence = Evidence(
        {label: np.array([score["nats"] for score in each]) for label, each in scores.items()},
        np.array(first[0]["sizes"]) if first else np.array([]),
        judges[0] if judges else None,
    )
    answers = []
    for asked in plan.decide:
        rules = tuple(parse_rule(rule) for rule in asked.rules)
        pairs = _rows(asked, found, made) if set(asked.keep) <= set(plan.grid) else _ways(asked, found, made, samples)
        for one, other in pairs:
            known = Evidence(
                {**evidence.nats, **{each.name: evidence.nats[each.recipe] for each in (one, other)}},
                evidence.sizes,
                evidence.judge,
            )
            answers.append(decide(Question(one.name, other.name, rules), [other, one], known))
    return answers


def _rows(asked: Decide, found: Sequence[Configuration], made: Mapping[str, Row]) -> Iterator[tuple[Row, Row]]:
    for chosen in _choices(asked.keep):
        for one in found:
            if any(one.values.get(axis) != in_words(value) for axis, value in chosen.items()):
                continue
            wanted = {**one.values, **{axis: in_words(value) for axis, value in asked.against.items()}}
            for other in found:
                if other.values == wanted and other is not one:
                    yield made[one.label], made[other.label]


def _ways(
    asked: Decide, found: Sequence[Configuration], made: Mapping[str, Row], samples: Sequence[SampleRow]
) -> Iterator[tuple[Row, Row]]:
    for one in found:
        own = [sample for sample in samples if sample.text in made[one.label].generation]
        for chosen in _choices(asked.keep):
            for sample in own:
                if any(sample.settings.get(key) != value for key, value in chosen.items()):
                    continue
                wanted = {
                    key: value for key, value in {**sample.settings, **asked.against}.items() if value is not None
                }
                for other in own:
                    if other is not sample and other.text.sampler == sample.text.sampler and other.settings == wanted:
                        yield _alone(made[one.label], sample), _alone(made[one.label], other)


def _choices(keep: Choice) -> Iterator[Choice]:
    for values in itertools.product(*(_listed(value) for value in keep.values())):
        yield dict(zip(keep, values, strict=True))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _alone(row: Row, sample: SampleRow) -> Row:
    """Return a row that was sampled in one way alone, named after it."""
    return _renamed(row, f"{row.name}: {sample.sampler}", [sample.text])


def _renamed(row: Row, name: str, generation: list[TextRow]) -> Row:
    return Row(**{**vars(row), "name": name, "generation": generation})


def _scored(label: str, rows: Sequence[SweepRow]) -> list[SweepRow]:
    return [row for row in rows if row.configuration == label and row.bits_per_byte is not None]


def _row(one: Configuration, rows: Sequence[SweepRow], samples: Sequence[SampleRow]) -> Row:
    own = _scored(one.label, rows)
    return Row(
        name=one.label,
        path=own[0].path,
        paths=[row.path for row in own],
        recipe=one.label,
        process="",
        parameters=one.parameters,
        tokens_seen=int(one.tokens or 0),
        bits_per_byte=one.bits_per_byte,
        bound=one.bound,
        perplexity=float("nan"),
        interval=one.interval,
        difference=None,
        length_nats=0.0,
        draws=one.draws,
        train_tokens_per_second=one.tokens_per_second,
        tokenizer="",
        corpus_fingerprint="",
        split="",
        device=own[0].device,
        seed=own[0].seed or 0,
        seeds=one.seeds,
        per_seed=one.per_seed,
        spread=one.spread,
        status="finished",
        training_flops=one.training_flops,
        train_seconds=one.seconds,
        generation=[sample.text for sample in samples if sample.label == own[0].label],
    )
