"""Fill the holes of a sentence with a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import torch

from unmask.api.writing import SettingsOptions, Watch, resolve, vocabulary_of, write
from unmask.data.batch import Batch
from unmask.errors import Error
from unmask.sampling.infill import Filling, best_filling, hole_requests, layouts, parse_holes, parse_length
from unmask.training.run import Run


@dataclass(frozen=True)
class InfillResult:
    """Filled sentences.

    Attributes:
        run: The run's folder.
        sampler: Name of the sampler.
        settings: All its settings.
        text: The sentence with its holes.
        texts: The filled sentences.
        fills: For each text, what was written into each hole.
        lengths: For each text, the length of each hole in tokens.
        bits_per_byte: For each text, its score under the model: the criterion by which lengths were chosen.
        bound: What kind of score that is.
        tried: Combinations of hole lengths that were tried for each text.
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def infill(
    run: str | Path | Run,
    text: str,
    *,
    length: int | str = "1-4",
    hole: str | None = None,
    n: int = 1,
    sampler: str | None = None,
    batch_size: int = 8,
    draws: int = 16,
    trace: str | Path | None = None,
    watch: Watch | None = None,
    **settings: Unpack[SettingsOptions],
) -> InfillResult:
    """Fill the holes of a sentence: ``infill(run, "the ____ sat on ____")``.

    With a range of lengths every combination is filled and the whole text with the fewest bits per byte under the model
    is kept; above 64 combinations all holes get the same length.

    Args:
        run: A run folder, or an opened run, of a process that fills masked positions.
        text: A hole is a run of two or more underscores.
        length: Tokens in a hole: a number, or a range such as ``"2-6"``.
        hole: Another sign for a hole; underscores are then text.
        n: How many filled sentences.
        sampler: Name of a sampler; default: the recipe's, else the process's.
        batch_size: Most texts in one network call.
        draws: Network calls that each text's score is averaged over.
        trace: Also write a trace file (of every combination).
        watch: Called at every step.
        **settings: Fields of ``unmask.sampling.Settings``.

    Raises:
        Error: as :func:`sample`; a causal run; no hole; a length that is no length.
    """
    pieces, (low, high) = parse_holes(text, hole), parse_length(length)
    run, chosen, resolved = resolve(run, sampler, settings)
    if chosen.visibility == "causal":
        raise Error(f"run {run.path} writes left to right and cannot fill holes; use a run of the masked process.")
    if n < 1:
        raise Error(f"n is {n}; ask for at least 1 text.")
    tokenizer, model = run.tokenizer, run.model()
    vocabulary = vocabulary_of(tokenizer, model)
    holes, context = len(pieces) - 1, model.config.max_position_embeddings
    (narrow,) = hole_requests(pieces, [(1,) * holes], tokenizer, vocabulary, resolved)
    longest = len(narrow.request.tokens) + holes * (high - 1)
    if longest > context:  # before any layout is made: a range may be of any size
        raise Error(
            f"the text with its holes is {longest} tokens long (1 is BOS) and the context is {context}; "
            "shorten the text or the holes (--length)."
        )
    tried = layouts(holes, low, high)
    asked = [r for i in range(n) for r in hole_requests(pieces, tried, tokenizer, vocabulary, resolved, i)]
    requests = [a.request for a in asked]
    samples = write(run, model, chosen, requests, vocabulary, batch_size, trace, watch)
    score = RunScore(run, model, batch_size, draws)
    best: list[Filling] = []
    for start in range(0, len(asked), len(tried)):
        part = slice(start, start + len(tried))
        best.append(best_filling(samples[part], asked[part], tokenizer, score))
    return InfillResult(
        run=str(run.path),
        sampler=chosen.name,
        settings=asdict(resolved),
        text=text,
        texts=[b.text for b in best],
        fills=[list(b.fills) for b in best],
        lengths=[list(b.lengths) for b in best],
        bits_per_byte=[b.bits_per_byte for b in best],
        bound=score.bound,
        tried=len(tried),
    )


class RunScore:
    """Nats of texts under a run's own likelihood.

    Attributes:
        bound: What kind of likelihood it is, known after the first call.
    """

    def __init__(self, run: Run, model: Any, batch_size: int, draws: int) -> None:
        self._run, self._model, self._batch_size, self._draws = run, model, batch_size, draws
        self.bound = ""

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
        return nats
