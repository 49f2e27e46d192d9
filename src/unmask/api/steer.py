"""Steer what a run writes towards a property, and show what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unmask.api.thought_run import Mind, one_passage, opened, read_all, read_end
from unmask.api.writing import Setting, words_told
from unmask.errors import Error, check_texts
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.judge import NetworkJudge
from unmask.evaluation.text import TextQuality, text_quality, words
from unmask.lines import counted
from unmask.progress import Progress
from unmask.result import Result
from unmask.sampling import Request
from unmask.sampling.properties import keywords as keyword_property
from unmask.sampling.properties import towards
from unmask.sampling.steering import Schedule, Score, Steered, Where
from unmask.training.own_text import own_text, shown
from unmask.training.run import Run

Has = Callable[[Sequence[str], Sequence[tuple[int, ...]]], list[bool]]
"""Texts and their tokens -> which of them have the property."""


@dataclass(frozen=True)
class SteerRow:
    """Texts of one way of writing.

    Attributes:
        kind: ``unsteered``, ``steered``, or ``random``: pushed as hard in a direction that means nothing.
        strength: Length of a push, in units of a thought's root mean square.
        share: Share of texts with the property.
        interval: 95 % interval of it over texts; ``None`` for a single text.
        quality: Repetition and distinct n-grams of what was written.
        judge: Bits per byte of it under the judge: close to the unsteered row's is good, low is not; ``None``: there
            is no judge.
        texts: The whole texts.
    """

    kind: str
    strength: float
    share: float
    interval: tuple[float, float] | None
    quality: TextQuality
    judge: float | None
    texts: list[str]


@dataclass(frozen=True, repr=False)
class SteerResult(Result):
    """Steered texts beside their controls.

    Attributes:
        run: The run's folder.
        sampler: Name of the sampler.
        settings: All its settings.
        property: What was steered to, in words.
        schedule: ``constant``, ``early`` or ``late``.
        where: ``both``, ``cells`` or ``belief``.
        prompt: Text that all texts begin with.
        rows: Unsteered; then steered and random for each strength.
    """

    run: str
    sampler: str
    settings: dict[str, Any]
    property: str
    schedule: str
    where: str
    prompt: str
    rows: list[SteerRow]

    def _facts(self) -> tuple[str, ...]:
        return (f"{counted(len(self.rows), 'row')} of texts steered to {self.property}",)


def thoughts_steer(
    run: str | Path | Run,
    *,
    keywords: Sequence[str] = (),
    toward: str | Path | None = None,
    away: str | Path | None = None,
    score: Score | None = None,
    has: Callable[[str], bool] | None = None,
    strengths: Sequence[float] = (0.5,),
    schedule: Schedule = "constant",
    where: Where = "both",
    prompt: str = "",
    max_tokens: int | None = None,
    n: int = 16,
    directions: int = 4,
    judge: str | Path | Run | None = None,
    sampler: str | None = None,
    batch_size: int = 8,
    progress: Callable[[Progress], None] = lambda told: None,
    **settings: Setting,
) -> SteerResult:
    """Write texts whose thoughts are pushed towards a property, beside texts that are not, or pushed anywhere.

    All ways of writing share their noise: text i of one differs from text i of another by the push alone.

    Args:
        run: A run folder with thoughts, or an opened run.
        keywords: The property is to say one of these words.
        toward: The property is to think like this text, or thought file, ...
        away: ... rather than like this one; default: the mean thought of the unsteered texts.
        score: A property of your own: (state, answer) -> one differentiable number a row ...
        has: ... and whether a text has it.
        strengths: Lengths of a push, in units of a thought's root mean square.
        schedule: How the strength goes with the noise that is left in the thought.
        where: What is turned; see :class:`unmask.sampling.steering.Steered`.
        prompt: Text that all texts begin with.
        max_tokens: Most tokens to write; default: what one passage has room for.
        n: Texts of each way of writing.
        directions: How many random directions the control's texts are dealt to.
        judge: A causal run that tells how likely the texts are.
        sampler: Name of a sampler; default: the recipe's, else the process's.
        batch_size: Most texts in one network call.
        progress: Called with how much has been written.
        **settings: Of the sampler (``unmask samplers`` lists them); what is left out comes from the recipe.

    Raises:
        Error: no property or several, a run without thoughts; as :func:`unmask.sample`.
    """
    if sum((bool(keywords), toward is not None, score is not None)) != 1:
        raise Error("steer towards one property: keywords, a text to think like (toward), or a score of your own.")
    if away is not None and toward is None:
        raise Error("--away says what not to think like; say with --toward what to think like instead.")
    if (score is None) != (has is None):
        raise Error("a score of your own needs has, which says whether a text has the property, and has needs score.")
    check_texts(n)
    if directions < 1 or not strengths:
        raise Error("ask for at least 1 text, 1 random direction and 1 strength.")
    mind = opened(run, sampler, settings)
    tokenizer, before = mind.run.tokenizer, own_text(prompt, mind.run)
    tokens, lead = one_passage(mind, prompt, max_tokens)
    requests = [Request(tokens, mind.settings, i, lead) for i in range(n)]
    told = words_told(progress, mind.run, requests * (1 + 2 * len(strengths)), mind.vocabulary)
    plain = [mind.words(sample) for sample in mind.write(requests, batch_size, told=told)]
    aim, test, name = _property(mind, keywords, toward, away, score, has, plain)
    scorer = None
    if judge is not None:
        other = judge if isinstance(judge, Run) else Run.open(judge)
        scorer = NetworkJudge(other.model(), other.process, other.tokenizer)

    def row(kind: str, strength: float, written: list[tuple[int, ...]]) -> SteerRow:
        whole = [tokenizer.decode(text) for text in written]
        texts, own = (
            [shown(text, tokenizer) for text in part] for part in (whole, [t.removeprefix(before) for t in whole])
        )
        sizes = [len(tokenizer.decode_bytes(text)) - len(tokenizer.raw(before)) for text in written]
        held = np.array(test(own, written), dtype=np.float64)
        bits = None if scorer is None else scorer.bits(own)
        interval = mean_interval(np.arange(n), n, held, share=True)
        return SteerRow(kind, strength, float(held.mean()), interval, text_quality(own, sizes), bits, texts)

    def pushed(aim: Score | None, strength: float, group: Sequence[int], seed: int = 0) -> list[tuple[int, ...]]:
        network = Steered(
            mind.model, aim, strength, mind.vocabulary.mask, schedule=schedule, where=where, seed=seed
        ).eval()
        return [mind.words(sample) for sample in mind.write([requests[i] for i in group], batch_size, network, told)]

    rows = [row("unsteered", 0.0, plain)]
    for strength in strengths:
        rows.append(row("steered", strength, pushed(aim, strength, range(n))))
        blind: list[tuple[int, ...]] = [()] * n
        for seed in range(min(directions, n)):
            blind[seed::directions] = pushed(None, strength, range(seed, n, directions), seed)
        rows.append(row("random", strength, blind))
    return SteerResult(
        run=str(mind.run.path),
        sampler=mind.settings.name,
        settings=mind.settings.model_dump(),
        property=name,
        schedule=schedule,
        where=where,
        prompt=shown(before, tokenizer),
        rows=rows,
    )


def _property(
    mind: Mind,
    keywords: Sequence[str],
    toward: str | Path | None,
    away: str | Path | None,
    score: Score | None,
    has: Callable[[str], bool] | None,
    plain: list[tuple[int, ...]],
) -> tuple[Score, Has, str]:
    """Return what is steered by, how it is told from the finished texts, and its name."""
    if score is not None and has is not None:
        return score, lambda texts, _: [has(text) for text in texts], "a score of your own"
    if toward is None:
        names = [word.strip() for word in keywords]
        if not all(names):
            raise Error("a keyword is empty; give words with commas between them.")
        ids = [mind.run.tokenizer.encode(own_text(" " + word, mind.run)) for word in names]
        wanted = [words(shown(own_text(word, mind.run), mind.run.tokenizer)) for word in names]
        return (
            keyword_property(ids, mind.vocabulary.mask),
            lambda texts, _: [any(_says(words(text), word) for word in wanted) for text in texts],
            f"says {' or '.join(names)}",
        )
    name, aim = read_end(mind, toward)
    if away is None:
        rival, there = "unsteered texts", read_all(mind, plain).mean(0)
    else:
        rival, kept = read_end(mind, away)
        there = kept.cells
    direction, middle = aim.cells - there, (aim.cells + there) / 2

    def nearer(texts: Sequence[str], written: Sequence[tuple[int, ...]]) -> list[bool]:
        lean = ((read_all(mind, list(written)) - middle) * direction).mean((1, 2))
        return [bool(value > 0) for value in lean]

    return towards(direction), nearer, f"its thought, read again, is nearer to {name!r} than to {rival!r}"


def _says(text: list[str], word: list[str]) -> bool:
    """Tell whether a text has a word, or several in a row."""
    return any(text[i : i + len(word)] == word for i in range(len(text) - len(word) + 1))
