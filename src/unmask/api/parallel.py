"""Think several thoughts at once, and keep the best or their blend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from unmask.api.thought_run import Mind, opened, read_all, read_text
from unmask.api.writing import Setting, words_told
from unmask.data.batch import Batch
from unmask.errors import Error, check_texts
from unmask.evaluation.finite import refuse_not_finite
from unmask.lines import excerpt
from unmask.progress import Progress
from unmask.result import Result
from unmask.sampling import Request, Sample
from unmask.sampling.blend import begun, mixed
from unmask.sampling.kept_thought import Kept, opening
from unmask.training.own_text import own_text, shown
from unmask.training.run import Run

Criterion = Literal["bound", "confidence"]


@dataclass(frozen=True)
class Hypothesis:
    """One way that a text may go on.

    Attributes:
        text: The whole text.
        completion: What was written.
        score: Higher is better: minus bits per byte of what was written, or the mean log of the confidence in it; minus
            infinity where nothing was.
        weight: Its share in the blend.
    """

    text: str
    completion: str
    score: float
    weight: float


@dataclass(frozen=True, repr=False)
class ParallelResult(Result):
    """Hypotheses side by side.

    Attributes:
        run: The run's folder.
        sampler: Name of the sampler.
        settings: All its settings.
        prompt: The text before.
        by: ``bound`` or ``confidence``.
        bound: What kind of likelihood scored; ``none`` for confidence.
        hypotheses: All of them.
        best: Number of the one with the highest score.
        mean: Mean score of those that say anything: what one of them, taken at random, is worth.
        blended: What was written from their blended thoughts; ``None``: not asked for.
        text: The text that is kept: the blend where one was asked for, else the best.
    """

    run: str
    sampler: str
    settings: dict[str, Any]
    prompt: str
    by: str
    bound: str
    hypotheses: list[Hypothesis]
    best: int
    mean: float
    blended: Hypothesis | None
    text: str

    def _facts(self) -> tuple[str, ...]:
        kept = "the blend" if self.blended else f"number {self.best}"
        return (f"{kept} of {len(self.hypotheses)} hypotheses kept", repr(excerpt(self.text, 64)))


def thoughts_parallel(
    run: str | Path | Run,
    prompt: str = "",
    *,
    hypotheses: int = 4,
    blend: bool = False,
    noise: float = 0.5,
    sharpness: float = 10.0,
    by: Criterion = "bound",
    draws: int = 16,
    max_tokens: int | None = None,
    sampler: str | None = None,
    batch_size: int = 8,
    progress: Callable[[Progress], None] = lambda told: None,
    **settings: Setting,
) -> ParallelResult:
    """Write the rest of a passage several times from different thoughts; keep the best, or write it from their blend.

    The blend is the mean of the hypotheses' thoughts, read off what they wrote, with weights softmax(sharpness *
    score), noised and denoised again with the words hidden. The winner of K is better than one of them even if no score
    means anything but itself: its score is to be read beside the mean, and never beside a text that was written once.
    The score is a mean over what was written alone, and favours no length; the likelihood itself favours the shortest.

    Args:
        run: A run folder with thoughts, or an opened run.
        prompt: The text before, of any length.
        hypotheses: How many (K).
        blend: Blend the thoughts, and write once more.
        noise: Share of noise in the variance of the blend.
        sharpness: How much better scores count in the blend; 0: all alike.
        by: Score by the process's own likelihood of what was written, a byte, or by the mean log-confidence.
        draws: Network calls that a likelihood is averaged over.
        max_tokens: Most tokens to write; default: what the passage has room for.
        sampler: Name of a sampler; default: the recipe's, else the process's.
        batch_size: Most texts in one network call.
        progress: Called with how much has been written.
        **settings: Of the sampler (``unmask samplers`` lists them); what is left out comes from the recipe.

    Raises:
        Error: fewer than two hypotheses, a run without thoughts; as :func:`unmask.sample`.
    """
    if hypotheses < 2:
        raise Error(f"hypotheses is {hypotheses}; one is what sample writes, ask for at least 2.")
    check_texts(hypotheses, "hypotheses")
    if by not in get_args(Criterion):
        raise Error(f"by is {by!r}; choose bound or confidence.")
    if not 0 <= sharpness < math.inf:
        raise Error(f"sharpness is {sharpness}; it must be 0 or more.")
    mind = opened(run, sampler, settings)
    before = own_text(prompt, mind.run)
    kept = read_text(mind, prompt) if prompt else None
    room = mind.options.passage - (1 if kept is None else len(kept.tokens)) % mind.options.passage
    most = room if max_tokens is None else max_tokens
    if not 1 <= most <= room:
        raise Error(f"max_tokens is {most}; the passage has room for 1 to {room} more.")
    requests = [_request(mind, kept, most, i) for i in range(hypotheses)]
    told = words_told(progress, mind.run, [*requests, *requests[:blend]], mind.vocabulary)
    samples = mind.write(requests, batch_size, told=told)
    wholes = [_whole(mind, kept, r, s) for r, s in zip(requests, samples, strict=True)]
    scores, bound = _scores(mind, kept, wholes, samples, by, draws, batch_size)
    said = [score for score in scores if score > -math.inf]
    if not said:
        raise Error("every hypothesis ended before it said a word; set ignore_eos, or give another prompt.")
    weights = torch.softmax(torch.tensor(scores, dtype=torch.float64).clamp(min=-1e9) * sharpness, 0)
    found = [_hypothesis(mind, before, *parts) for parts in zip(wholes, scores, weights.tolist(), strict=True)]
    best = max(range(hypotheses), key=scores.__getitem__)
    blended = None
    if blend:
        clean = mixed(read_all(mind, wholes), weights)
        stack = None if kept is None else kept.stack
        thought = begun(mind.options, clean, noise, mind.settings.seed, hypotheses, stack)
        request = _request(mind, kept, most, hypotheses)
        request = Request(request.tokens, request.settings, request.index, request.lead, thought)
        sample = mind.write([request], batch_size, told=told)
        whole = [_whole(mind, kept, request, sample[0])]
        score, _ = _scores(mind, kept, whole, sample, by, draws, batch_size)
        blended = _hypothesis(mind, before, whole[0], score[0], 1.0)
    return ParallelResult(
        run=str(mind.run.path),
        sampler=mind.settings.name,
        settings=mind.settings.model_dump(),
        prompt=shown(before, mind.run.tokenizer),
        by=by,
        bound=bound,
        hypotheses=found,
        best=best,
        mean=sum(said) / len(said),
        blended=blended,
        text=found[best].text if blended is None else blended.text,
    )


def _request(mind: Mind, kept: Kept | None, most: int, index: int) -> Request:
    if kept is not None:
        return opening(mind.options, kept, most, mind.vocabulary, mind.settings, index)
    return Request((mind.vocabulary.bos,) + (mind.vocabulary.mask,) * most, mind.settings, index)


def _whole(mind: Mind, kept: Kept | None, request: Request, sample: Sample) -> tuple[int, ...]:
    """Return the tokens of the whole text, without its end."""
    head = sum(token != mind.vocabulary.mask for token in request.tokens)
    before = (mind.vocabulary.bos,) if kept is None else kept.tokens
    return before + mind.words(sample)[head:]


def _scores(
    mind: Mind,
    kept: Kept | None,
    wholes: Sequence[tuple[int, ...]],
    samples: Sequence[Sample],
    by: Criterion,
    draws: int,
    batch_size: int,
) -> tuple[list[float], str]:
    """Return the score of each text, and the kind of likelihood behind it. All share one noise."""
    given = 1 if kept is None else len(kept.tokens)
    if by == "confidence":
        return [_confidence(sample) for sample in samples], "none"
    vocabulary, tokenizer = mind.vocabulary, mind.run.tokenizer
    device = next(mind.model.parameters()).device
    scores, bound = [], ""
    for first in range(0, len(wholes), batch_size):
        part = wholes[first : first + batch_size]
        size = max(map(len, part))
        tokens = torch.tensor([[*t, *[vocabulary.pad] * (size - len(t))] for t in part])
        segments = torch.tensor([[1] * len(t) + [0] * (size - len(t)) for t in part])
        batch = Batch(tokens, segments, torch.zeros(len(part), dtype=torch.int64), vocabulary.bos).to(device)
        scored = (torch.arange(size, device=device) >= given).expand(len(part), -1) & batch.valid
        with torch.no_grad():
            answer = mind.run.process.likelihood(mind.model, batch, draws=draws, seed=0, scored=scored)
        refuse_not_finite(answer.nats, "hypotheses", mind.model)
        bound = answer.bound
        for nats, text in zip(answer.nats.tolist(), part, strict=True):
            count = len(tokenizer.decode_bytes(text[given:]))
            scores.append(-nats / math.log(2) / count if count else -math.inf)
    return scores, bound


def _confidence(sample: Sample) -> float:
    """Return the mean log-confidence in what was written: the last tokens, the end among them."""
    if not sample.written:
        return -math.inf
    count = len(sample.written) + sample.ended
    return sum(math.log(max(value, 1e-12)) for value in sample.confidence[-count:]) / count


def _hypothesis(mind: Mind, before: str, whole: tuple[int, ...], score: float, weight: float) -> Hypothesis:
    text = mind.run.tokenizer.decode(whole)
    more = text.removeprefix(before)
    return Hypothesis(shown(text, mind.run.tokenizer), shown(more, mind.run.tokenizer), score, weight)
