"""Fill the holes of a sentence with a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch

from unmask.api.hole_layouts import lay_out_holes
from unmask.api.settings import told_preset
from unmask.api.verifier import CheckedText, resolve_verified
from unmask.api.writing import Setting, Watch, words_told, write
from unmask.data.batch import Batch
from unmask.errors import Error, check_texts
from unmask.evaluation.finite import refuse_not_finite
from unmask.lines import counted, excerpt, scored
from unmask.progress import Counter, Progress
from unmask.result import Result
from unmask.sampling.infill import hole_texts, parse_holes, parse_length
from unmask.sampling.lengths import Choice
from unmask.sampling.result_cache import remembered
from unmask.training.own_text import shown
from unmask.training.run import Run


@dataclass(frozen=True, repr=False)
class InfillResult(Result):
    """Filled sentences.

    Attributes:
        run: The run's folder.
        sampler: Name of the sampler.
        settings: All its settings.
        text: The sentence with its holes.
        texts: The filled sentences.
        fills: For each text, what was written into each hole.
        lengths: For each text, the length of each hole in tokens.
        bits_per_byte: For each text, its score under the model. No criterion: fewest bits per byte have long holes.
        bound: What kind of score that is.
        tried: Combinations of hole lengths that were compared.
        layouts: Those combinations.
        probabilities: Of each, given the text around the holes, all being alike beforehand. They are the same for all
            texts.
        decided: For each text, the step that decided each written token.
        looks: For each text, the network calls that each of these stood open in.
        length_by: Whether lengths were drawn by these probabilities, or are the most probable ones.
        confidence: For each text, the model's probability of each written token when it was chosen: calibrated
            (``unmask calibrate``) with the setting ``calibrated``.
        verifier: The verifier's folder and the settings of the repair; ``None``: there was none.
        checked: For each text, what the verifier said of it; ``None``: there was none.
        preset: The run's preset that it was written by; ``None``: there was none, or it did not count.
    """

    run: str
    sampler: str
    settings: dict[str, Any]
    text: str
    texts: list[str]
    fills: list[list[str]]
    lengths: list[list[int]]
    bits_per_byte: list[float]
    bound: str
    tried: int
    layouts: list[list[int]]
    probabilities: list[float]
    length_by: str
    decided: list[list[int]]
    looks: list[list[int]]
    confidence: list[list[float]]
    verifier: dict[str, Any] | None = None
    checked: list[CheckedText] | None = None
    preset: str | None = None

    def _facts(self) -> tuple[str, ...]:
        filled = repr(excerpt(self.texts[0], 64)) if self.texts else ""
        score = scored(self.bits_per_byte[0], self.bound) if self.bits_per_byte else ""
        return (f"{counted(len(self.texts), 'text')} by {self.sampler}", filled, score)


def infill(
    run: str | Path | Run,
    text: str,
    *,
    length: int | str = "1-4",
    length_by: Choice = "draw",
    orders: int = 4,
    hole: str | None = None,
    n: int = 1,
    sampler: str | None = None,
    preset: bool = True,
    batch_size: int = 8,
    draws: int = 16,
    trace: str | Path | None = None,
    watch: Watch | None = None,
    progress: Callable[[Progress], None] = lambda told: None,
    verifier: str | Path | Run | None = None,
    verify: str | None = None,
    words: Sequence[Sequence[str] | None] | None = None,
    **settings: Setting,
) -> InfillResult:
    """Fill the holes of a sentence: ``infill(run, "the ____ sat on ____")``.

    With a range of lengths, every combination has a probability given the text around the holes (a uniform prior over
    those tried, and the model's own law of that text; see :mod:`unmask.sampling.lengths`); above 64 combinations all
    holes get the same length. Each text's lengths are drawn from it with the text's own noise, since the most probable
    ones would be the same for all texts, and may be hardly more probable than others.

    Args:
        run: A run folder, or an opened run, of a process that fills masked positions.
        text: A hole is a run of two or more underscores.
        length: Tokens in a hole: a number, or a range such as ``"2-6"``.
        length_by: How lengths are chosen from a range: ``draw`` by their probabilities, or ``likeliest``, the most
            probable ones for every text.
        orders: Random orders of the text around the holes that these probabilities are averaged over; each takes as
            many network calls a combination as that text has tokens (the 16 nearest on each side of a hole).
        hole: Another sign for a hole; underscores are then text.
        n: How many filled sentences.
        sampler: Name of a sampler; default: the preset's, else the recipe's, else the process's.
        preset: Whether a preset of the run (``unmask tune``) counts; it does not where a sampler is named.
        batch_size: Most texts in one network call.
        draws: Network calls that each text's score is averaged over.
        trace: Also write a trace file.
        watch: Called at every step.
        progress: Called with where it stands: weighing lengths, writing, scoring.
        verifier: A causal run of the same tokenizer: what it finds unlikely in the holes is written again.
        verify: ``repair``, the default: a hole has text behind it, which ``lossless`` cannot take.
        words: For each hole, the words that it may become, equally many tokens each; ``None``: it may become anything.
        **settings: Of the sampler (``unmask samplers`` lists them); what is left out is the preset's or recipe's.

    Raises:
        Error: as :func:`sample`; a causal run; words for other holes than there are, or of unlike lengths; no hole; a
            length that is no length; a range of lengths in a text longer than a passage of the run, or of a run whose
            process hides no word.
    """
    if length_by not in get_args(Choice):
        raise Error(f"length_by is {length_by!r}; choose draw or likeliest.")
    pieces, (low, high) = parse_holes(text, hole), parse_length(length)
    if verify == "lossless":
        raise Error("a lossless verifier writes left to right and cannot fill holes; use verify repair.")
    run, chosen, resolved, plan = resolve_verified(run, sampler, settings, verifier, verify, "repair", preset=preset)
    check_texts(n)
    tokenizer, model = run.tokenizer, run.model()
    laid = lay_out_holes(
        run,
        model,
        resolved,
        pieces,
        (low, high),
        n,
        length_by=length_by,
        orders=orders,
        batch_size=batch_size,
        words=words,
        progress=Counter("weighing lengths", progress, unit="layouts", what=run.name, place=(1, 3)),
    )
    asked, probabilities = [one.request for one in laid.asked], laid.probabilities
    told = words_told(progress, run, asked, laid.vocabulary, (2, 3))
    samples = write(run, model, chosen, asked, laid.vocabulary, batch_size, trace, watch, told)

    def scored() -> tuple[list[float], str]:
        score = RunScore(
            run, model, batch_size, draws, Counter("scoring", progress, unit="texts", what=run.name, place=(3, 3))
        )
        return score.bits_per_byte([sample.tokens for sample in samples]), score.bound

    bits, bound = remembered(run.cache, run.path, model, asked, ("score", batch_size, draws), scored)
    return InfillResult(
        run=str(run.path),
        sampler=resolved.name,
        settings=resolved.model_dump(),
        text=text,
        texts=[shown(tokenizer.decode(sample.tokens), tokenizer) for sample in samples],
        fills=[
            [shown(fill, tokenizer) for fill in hole_texts(sample.tokens, own, tokenizer)]
            for sample, own in zip(samples, laid.asked, strict=True)
        ],
        lengths=[list(own) for own in laid.lengths],
        bits_per_byte=bits,
        bound=bound,
        tried=len(laid.tried),
        layouts=[list(own) for own in laid.tried],
        probabilities=probabilities,
        length_by=length_by,
        decided=[[step for step in s.decided if step] for s in samples],
        looks=[[calls for calls, step in zip(s.looks, s.decided, strict=True) if step] for s in samples],
        confidence=[[round(value, 5) for value in sample.sure] for sample in samples],
        verifier=None if plan is None else plan.to_dict(),
        checked=None if plan is None else [plan.told(s.checked, s.tokens) for s in samples if s.checked is not None],
        preset=told_preset(run, sampler, preset and verifier is None),
    )


class RunScore:
    """Nats of texts under a run's own likelihood.

    Attributes:
        bound: What kind of likelihood it is, known after the first call.
    """

    def __init__(
        self,
        run: Run,
        model: Any,
        batch_size: int,
        draws: int,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._run, self._model, self._batch_size, self._draws = run, model, batch_size, draws
        self._progress = progress
        self.bound = ""

    def bits_per_byte(self, texts: list[tuple[int, ...]]) -> list[float]:
        """Return the bits of each text for a byte that its tokens stand for, be the bytes text or not."""
        sizes = [len(self._run.tokenizer.decode_bytes(text)) for text in texts]
        return [nats / math.log(2) / max(1, size) for nats, size in zip(self(texts), sizes, strict=True)]

    @torch.no_grad()
    def __call__(self, texts: list[tuple[int, ...]]) -> list[float]:
        """Return the nats of each text. All share one noise: what differs between their scores is the text."""
        tokenizer = self._run.tokenizer
        device = next(self._model.parameters()).device
        nats: list[float] = []
        for first in range(0, len(texts), self._batch_size):
            part = texts[first : first + self._batch_size]
            size = max(len(t) for t in part)
            tokens = torch.tensor([[*t, *[tokenizer.pad_id] * (size - len(t))] for t in part])
            segments = torch.tensor([[1] * len(t) + [0] * (size - len(t)) for t in part])
            batch = Batch(tokens, segments, torch.zeros(len(part), dtype=torch.int64), tokenizer.bos_id)
            answer = self._run.process.likelihood(self._model, batch.to(device), draws=self._draws, seed=0)
            self.bound = answer.bound
            nats += answer.nats.tolist()
            self._progress(len(nats), len(texts))
        refuse_not_finite(nats, "filled texts", self._model)
        return nats
