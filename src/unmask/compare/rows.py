"""The rows of a comparison: what was measured of a run, of a control, and of a way to sample."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from unmask.evaluation.latency import Latency
from unmask.evaluation.text import TextQuality


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

    @property
    def label(self) -> str:
        """Name, sampler and steps in one."""
        steps = "" if self.steps is None else f" {self.steps}"
        return f"{self.name} ({self.sampler}{steps})" if self.sampler else self.name


@dataclass(frozen=True)
class Row:
    """A run.

    Attributes:
        name: Its name in this comparison.
        path: Its folder.
        process: What hides text in its training.
        parameters: Trainable parameters.
        tokens_seen: Tokens it was trained on.
        bits_per_byte: Of the held-out text.
        bound: What kind of number that is: ``exact``, ``upper bound``, ``exact for ...``.
        interval: 95 % interval over documents.
        difference: Bits per byte above the first run, with the paired 95 % interval; ``None`` for the first.
        length_nats: Nats that a bidirectional model paid for where documents end (part of ``bits_per_byte``).
        draws: Network calls a window behind a bound.
        train_tokens_per_second: While it was trained.
        tokenizer: Name of its tokenizer.
        corpus_fingerprint: Of the corpus it was trained on.
        split: The part of that corpus.
        device: What it was trained on, with threads and precision.
        seed: Of its training.
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
class Comparison:
    """The whole report as data.

    Attributes:
        rows: The runs, in the order given.
        controls: The controls.
        warnings: Where the comparison is not even.
        held_out: Source, split, fingerprint, documents, bytes, window.
        setup: Command, date, hardware, versions, seeds, judges.
        curves: Training curves of each run by name: rows of its ``metrics.jsonl``.
        folder: Where the report was written.
    """

    rows: list[Row]
    controls: list[Control]
    warnings: list[str]
    held_out: dict[str, Any]
    setup: dict[str, Any]
    curves: dict[str, list[dict[str, Any]]]
    folder: str

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)
