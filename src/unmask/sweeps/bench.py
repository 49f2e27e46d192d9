"""One way to write, measured on this machine: how good its texts are, and how long they take.

Held-out documents give the prompts, their first words, and the real text that follows. Quality is a judge's bits per
byte of what is written behind the prompts; less than real text has is no better, so it counts as that of real text. A
text that says little, or the same again and again, pleases every judge: so entropy, repeats and length are held to
limits by the real text of the same size, and what is beyond one of them has collapsed, whatever the judge says.

Latency is the wait for 128 tokens of a text, taken as :mod:`unmask.evaluation.latency` takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unmask.errors import Error
from unmask.evaluation.continued import ContinuationJudge
from unmask.evaluation.latency import Latency, take_turns, timing
from unmask.evaluation.text import TextQuality, real_like, text_quality
from unmask.reports.dataclass_json import rebuilt
from unmask.sampling import SAMPLERS, Settings, Vocabulary, fill_request, generate
from unmask.training.run import Run

TOKENS = 128
"""Tokens whose wait is told."""
PROMPT = 16
"""Tokens of a prompt."""
_FEWEST = 4
"""Prompts below which nothing can be said."""
LEAST_ENTROPY, MORE_REPEATS, LEAST_WORDS = 0.9, 0.1, 0.5
"""Of the real text's: entropy at least that share, repeats at most so much more, words at least that share."""


@dataclass(frozen=True)
class Point:
    """One way to write, measured.

    Attributes:
        sampler: Its name.
        settings: Those that were said.
        bits: The judge's bits per byte of its texts; ``None``: nothing was written.
        interval: Its 95 % interval over prompts.
        text: What it wrote.
        real: Real text of the same size.
        ms: Milliseconds until each text of a batch has 128 tokens more: the median of the repeats.
        ms_range: The least and the most of the repeats.
        forwards: Network calls of the timed generation.
        contended: Whether other programs took the processor while it was timed.
        seed: Of its texts.
    """

    sampler: str
    settings: dict[str, Any]
    bits: float | None
    interval: tuple[float, float] | None
    text: TextQuality
    real: TextQuality
    ms: float
    ms_range: tuple[float, float]
    forwards: int
    contended: bool
    seed: int

    @property
    def way(self) -> Settings:
        """The settings, of their sampler."""
        settings: Settings = SAMPLERS.facts(self.sampler)(**self.settings)
        return settings

    @property
    def beyond(self) -> dict[str, float]:
        """How far the text is beyond each limit; a limit that is kept has no more than 0."""
        return {
            "entropy": LEAST_ENTROPY * self.real.entropy - self.text.entropy,
            "repeats": self.text.repeated_4 - self.real.repeated_4 - MORE_REPEATS,
            "words": LEAST_WORDS * self.real.words - self.text.words,
        }

    @property
    def collapsed(self) -> bool:
        """Whether it wrote nothing that can be judged, or a limit is not kept."""
        return self.bits is None or max(self.beyond.values()) > 0

    def quality(self, real_bits: float) -> float:
        """Return the bits per byte that count: less than real text has is no better."""
        return real_bits if self.bits is None else max(self.bits, real_bits)


@dataclass(frozen=True)
class Bench:
    """Measures ways of a run to write.

    Attributes:
        run: The run.
        model: Its network.
        vocabulary: The special tokens.
        judge: Scores what is written.
        prompts: Token ids of the prompts.
        real: What follows each in the document.
        length: Tokens that are written behind a prompt at most, and timed.
        batch_size: Texts at once that are timed.
        repeats: Timed generations.
        seed: Of the texts.
    """

    run: Run
    model: Any
    vocabulary: Vocabulary
    judge: ContinuationJudge
    prompts: Sequence[Sequence[int]]
    real: Sequence[str]
    length: int
    batch_size: int
    repeats: int
    seed: int

    def measure(self, settings: Settings) -> Point:
        """Time a way, then let it write and judge that."""
        (cell,) = take_turns([self._timing(settings)])
        return self._point(settings, cell, self.seed)

    def again(self, chosen: Sequence[Settings], more: int) -> Iterator[Point]:
        """Measure ways once more, with other noise: timed in turns, ``more`` times as many repeats, then written."""
        fresh = replace(self, repeats=more * self.repeats, seed=self.seed + 1)
        for settings, cell in zip(chosen, take_turns([fresh._timing(each) for each in chosen]), strict=True):
            yield fresh._point(settings, cell, fresh.seed)

    def _timing(self, settings: Settings) -> Iterator[Latency | None]:
        return timing(
            self.model,
            SAMPLERS.get(settings.name)(),
            settings,
            self.vocabulary,
            self.run.tokenizer.decode_bytes,
            length=self.length,
            batch=self.batch_size,
            repeats=self.repeats,
            seed=self.seed,
            memory=False,
        )

    def _point(self, settings: Settings, cell: Latency, seed: int) -> Point:
        texts = self._written(settings.but(seed=seed))
        matched = real_like(texts, self.real)
        wait = 1000 * TOKENS / self.length
        bits, interval = self.judged(texts)
        return Point(
            sampler=settings.name,
            settings=settings.given,
            bits=bits,
            interval=interval,
            text=text_quality(texts),
            real=text_quality(matched),
            ms=wait * cell.median,
            ms_range=(wait * min(cell.times, default=cell.median), wait * max(cell.times, default=cell.median)),
            forwards=cell.forwards,
            contended=cell.contended,
            seed=seed,
        )

    def _written(self, settings: Settings) -> list[str]:
        asked = [
            fill_request(prompt, self.length, self.vocabulary, settings, index=index)
            for index, prompt in enumerate(self.prompts)
        ]
        done = generate(self.model, SAMPLERS.get(settings.name)(), asked, self.vocabulary, batch_size=16)
        return [self.run.tokenizer.decode(sample.written) for sample in done]

    def judged(self, texts: Sequence[str]) -> tuple[float | None, tuple[float, float] | None]:
        """Return the judge's bits per byte of what follows the prompts, and their 95 % interval."""
        prompts = [self.run.tokenizer.decode(prompt) for prompt in self.prompts]
        return self.judge.bits(list(zip(prompts, texts, strict=True)))


def prompted(run: Run, texts: Sequence[str], count: int, length: int) -> tuple[list[list[int]], list[str]]:
    """Return prompts, the first tokens of documents, and the text that follows each.

    Args:
        run: Whose tokens they are.
        texts: Held-out documents.
        count: Prompts at most.
        length: Tokens that follow at most.

    Raises:
        Error: too few documents are long enough.
    """
    tokenizer = run.tokenizer
    rows = [ids for ids in tokenizer.encode_batch(list(texts)) if len(ids) >= PROMPT + min(PROMPT, length)][:count]
    if len(rows) < _FEWEST:
        raise Error(
            f"{len(rows)} held-out documents have {2 * PROMPT} tokens or more, and {_FEWEST} are needed; give others "
            "with --source."
        )
    return [ids[:PROMPT] for ids in rows], [tokenizer.decode(ids[PROMPT : PROMPT + length]) for ids in rows]


def point_of(told: Mapping[str, Any]) -> Point:
    """Return a point from what was stored of it."""
    found: Point = rebuilt(Point, {**told, "settings": {}})
    return replace(found, settings=dict(told["settings"]))
