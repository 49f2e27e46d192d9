"""The rows of a comparison: what was measured of a run, of a control, and of a way to sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from unmask.evaluation.calibration import Calibration
from unmask.evaluation.denoising import DenoisingProfile
from unmask.evaluation.infilling import FillScore, Infilling
from unmask.evaluation.latency import Latency
from unmask.evaluation.rules import Outcome, Verdict
from unmask.evaluation.script_quality import ScriptQuality
from unmask.evaluation.text import TextQuality
from unmask.result import Result


@dataclass(frozen=True)
class TextRow:
    """Generated (or control) text, measured beside real text of the same size.

    Attributes:
        name: The run or control.
        sampler: Name of the sampler; empty for controls.
        steps: Its steps; ``None`` where a sampler has none.
        quality: Counts of words.
        real: The same counts of real text cut to the same size.
        judges: Bits per byte under each judge; ``None`` where there was nothing to judge.
        real_judges: The judges' figures of that real text.
        texts: A few of the texts.
        latency: One cell a batch size; empty for controls.
        measures: What else was measured of the texts, by name; ``None`` where it could not be.
        real_measures: The same of that real text.
        spread: Standard deviation over seeds of every measure, by name; empty for a single seed.
    """

    name: str
    sampler: str
    steps: int | None
    quality: TextQuality
    real: TextQuality
    judges: dict[str, float | None]
    real_judges: dict[str, float | None]
    texts: list[str]
    latency: list[Latency] = field(default_factory=list)
    measures: dict[str, float | None] = field(default_factory=dict)
    real_measures: dict[str, float | None] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name, sampler and steps in one."""
        steps = "" if self.steps is None else f" {self.steps}"
        return f"{self.name} ({self.sampler}{steps})" if self.sampler else self.name


@dataclass(frozen=True)
class Row:
    """A run, or several seeds of one recipe: numbers are then means over the seeds.

    Attributes:
        name: Its name in this comparison.
        path: Its folder (of the first seed).
        paths: The folders of all seeds.
        recipe: Its recipe's name.
        process: What hides text in its training.
        parameters: Trainable parameters.
        tokens_seen: Tokens it was trained on. Like ``training_flops`` and ``train_seconds`` it counts the runs that
            its weights come from (``training.init``), too.
        bits_per_byte: Of the held-out text.
        bound: What kind of number that is: ``exact``, ``upper bound``, ``exact for ...``.
        perplexity: The same number a token of the run's own tokenizer, e to the nats; comparable under one tokenizer.
        interval: 95 % interval over documents.
        per_seed: Bits per byte of each seed.
        spread: Their standard deviation; ``None`` for a single one.
        difference: Bits per byte above the first run, with the paired 95 % interval; ``None`` for the first.
        ratio: The paired 95 % interval of bits per byte over the first run's.
        length_nats: Nats paid for the lengths of windows, which its network is told (part of ``bits_per_byte``).
        draws: Network calls a window behind a bound.
        train_tokens_per_second: While it was trained.
        tokenizer: Name of its tokenizer.
        corpus_fingerprint: Of the corpus it was trained on.
        split: The part of that corpus.
        device: What it was trained on, with threads and precision.
        seed: Of its training (the first).
        seeds: Of all its runs.
        training_flops: Floating-point operations of its training; ``None`` where the run does not say.
        train_seconds: Seconds of its training steps.
        measures: What else was measured of the model, by the names that rules use; ``None``: does not apply to it.
        measure_spread: Standard deviation over seeds of each.
        measure_chance: Variance of some that comes from the choice of prompts, with its degrees of freedom.
        denoising: Accuracy and nats by noise level (of the first seed).
        calibration: Confidence against accuracy by noise level (of the first seed).
        infilling: Holes filled, against the removed text (of the first seed).
        status: ``finished`` or ``interrupted``.
        generation: One entry a way to sample.
    """

    name: str
    path: str
    process: str
    parameters: int
    tokens_seen: int
    bits_per_byte: float
    bound: str
    perplexity: float
    interval: tuple[float, float] | None
    difference: tuple[float, float, float] | None
    length_nats: float
    draws: int
    train_tokens_per_second: float | None
    tokenizer: str
    corpus_fingerprint: str
    split: str
    device: str
    seed: int
    status: str
    generation: list[TextRow] = field(default_factory=list)
    recipe: str = ""
    paths: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    per_seed: list[float] = field(default_factory=list)
    spread: float | None = None
    ratio: tuple[float, float] | None = None
    training_flops: float | None = None
    train_seconds: float | None = None
    measures: dict[str, float | None] = field(default_factory=dict)
    measure_spread: dict[str, float] = field(default_factory=dict)
    measure_chance: dict[str, tuple[float, float]] = field(default_factory=dict)
    denoising: DenoisingProfile | None = None
    calibration: Calibration | None = None
    infilling: Infilling | None = None


@dataclass(frozen=True)
class Control:
    """What a number has to be compared with.

    Attributes:
        name: ``uniform``, ``unigram``, ``order-5 n-gram``, ``untrained``, ``real text``, ``shuffled words``.
        about: What it is.
        bits_per_byte: Of the held-out text; ``None`` for a control that is a text and no model.
        bound: Kind of that number.
        interval: 95 % interval over documents.
        text: Its text, measured; ``None`` where it has none.
    """

    name: str
    about: str
    bits_per_byte: float | None = None
    bound: str = ""
    interval: tuple[float, float] | None = None
    text: TextRow | None = None


@dataclass(frozen=True)
class Continued:
    """What goes on from the prompts of one class, beside the sentences of that class.

    Attributes:
        quality: Its script errors, shares and switches.
        script_distance: How far its scripts are from the sentences', 0 to 1.
        switch_distance: How far its switch rate is from theirs.
        texts: A few of the texts, prompts before them.
        fill: The class's holes, filled; ``None`` where it cannot fill any.
    """

    quality: ScriptQuality
    script_distance: float | None
    switch_distance: float | None
    texts: list[str] = field(default_factory=list)
    fill: FillScore | None = None


@dataclass(frozen=True)
class Decision:
    """What a set of rules says of a row.

    Attributes:
        keep: The row that has to earn its place.
        against: The row that it is held against.
        verdict: ``keep``, ``drop`` or ``undecided``.
        outcomes: What became of each rule.
    """

    keep: str
    against: str
    verdict: Verdict
    outcomes: list[Outcome]


@dataclass(frozen=True, repr=False)
class CompareResult(Result):
    """The whole report as data.

    Attributes:
        rows: The runs, in the order given.
        controls: The controls.
        warnings: Where the comparison is not even.
        held_out: Source, split, fingerprint, documents, bytes, window.
        setup: Command, date, hardware, versions, seeds, judges.
        curves: Training curves of each run by name: rows of its ``metrics.jsonl``.
        folder: Where the report was written.
        decisions: What the rules say, one entry a set of rules.
        fills: What needs no model makes of the holes: the controls of ``infilling``.
        scripts: What runs and controls wrote after prompts in Hindi, Hinglish and mixed script, by name and class;
            empty where it was not asked for.
        answer: The result in a sentence.
    """

    rows: list[Row]
    controls: list[Control]
    warnings: list[str]
    held_out: dict[str, Any]
    setup: dict[str, Any]
    curves: dict[str, list[dict[str, Any]]]
    folder: str
    decisions: list[Decision] = field(default_factory=list)
    fills: dict[str, FillScore] = field(default_factory=dict)
    scripts: dict[str, dict[str, Continued]] = field(default_factory=dict)
    answer: str = ""

    def _facts(self) -> tuple[str, ...]:
        signs = ["at most " if row.bound == "upper bound" else "" for row in self.rows]
        scores = [f"{row.name} {sign}{row.bits_per_byte:.4f}" for row, sign in zip(self.rows, signs, strict=True)]
        return (f"bits per byte: {', '.join(scores)}", f"report in {self.folder}")


def _known(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else math.inf


def sharpest(controls: Sequence[Control], judges: Sequence[str]) -> str | None:
    """Return the judge to which real text is the most likely: it knows the most about such text."""
    real = next((c.text.judges for c in controls if c.name == "real text" and c.text is not None), {})
    return min(judges, key=lambda judge: _known(real.get(judge))) if judges else None
