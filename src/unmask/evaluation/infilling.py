"""Infilling measured: spans are taken out of held-out text, a run fills the holes, the removed text is the reference.

All rivals fill the same holes (see ``holes``). A run is told the removed text's length in its own tokens, nothing else.

There are many good fillings and one reference, so these scores are low for good models too, and only the distance to
the controls on the same holes says something:

* ``unigram``: as many words, drawn by their frequency in the other documents;
* ``other document``: a span of as many words from another document, fluent but out of place;
* ``removed text``: the reference itself, the upper end.

Letters: N holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.data.tokenizers import Tokenizer
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.holes import Hole, other_fills, unigram_fills
from unmask.evaluation.overlap import corpus_bleu, corpus_chrf, rouge_l, sentence_bleu
from unmask.sampling import Sampler, Settings, generate
from unmask.sampling.infill import hand_over_space, hole_requests, hole_texts, spaced_tokens


@dataclass(frozen=True)
class FillScore:
    """Fillings against the removed text.

    Attributes:
        holes: Number of holes (N).
        bleu: BLEU of all fillings together, 0 to 100.
        sentence_bleu: Mean BLEU of a filling (effective order), 0 to 100.
        chrf: chrF2 of all fillings together, 0 to 100.
        rouge_l: Mean ROUGE-L F-measure, 0 to 1.
        rouge_l_interval: 95 % interval over documents; ``None`` for a single one.
        exact: Share of fillings that are the removed text, blanks at the ends aside.
        exact_interval: The same interval of ``exact``.
        signature: sacrebleu's signature of ``bleu``.
        each: ROUGE-L of each filling [N], for paired comparisons; not in :meth:`to_dict`.
    """

    holes: int
    bleu: float
    sentence_bleu: float
    chrf: float
    rouge_l: float
    rouge_l_interval: tuple[float, float] | None
    exact: float
    exact_interval: tuple[float, float] | None
    signature: str
    each: NDArray[np.float64] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the scores by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "each"}


@dataclass(frozen=True)
class Infilling:
    """What a run made of the holes.

    Attributes:
        score: Its score; ``None`` where the run cannot fill holes.
        reason: Why there is no score.
        examples: A few (left, filling, right, removed).
    """

    score: FillScore | None
    reason: str | None = None
    examples: list[tuple[str, str, str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the result by name."""
        score = None if self.score is None else self.score.to_dict()
        return {"score": score, "reason": self.reason, "examples": self.examples}


def infilling(
    model: Any,
    process: Any,
    tokenizer: Tokenizer,
    sampler: Sampler,
    settings: Settings,
    holes: Sequence[Hole],
    *,
    batch_size: int = 16,
    shown: int = 4,
) -> Infilling:
    """Let a run fill holes, and score what it wrote against the removed text.

    Args:
        model: A network in eval mode.
        process: The process it was trained with.
        tokenizer: The model's tokenizer.
        sampler: An entry of SAMPLERS, constructed.
        settings: How to sample. Steps beyond a hole's length cost calls and change nothing.
        holes: From :func:`make_holes`.
        batch_size: Most texts in one network call.
        shown: Examples kept.

    Raises:
        Error: a window that does not fit the context; a missing library.
    """
    if process.visibility == "causal":
        return Infilling(None, "the run writes left to right and cannot see what stands behind a hole")
    if process.visibility == "block":
        return Infilling(None, "the run writes in blocks, which see nothing of what stands behind them")
    fills = fill_holes(model, tokenizer, sampler, settings, holes, batch_size=batch_size)
    examples = [(h.left, fill, h.right, h.removed) for h, fill in zip(holes[:shown], fills, strict=False)]
    return Infilling(score_fills(holes, fills), None, examples)


def fill_holes(
    model: Any,
    tokenizer: Tokenizer,
    sampler: Sampler,
    settings: Settings,
    holes: Sequence[Hole],
    *,
    batch_size: int = 16,
) -> list[str]:
    """Return what a run writes into each hole, told the removed text's length in tokens.

    Arguments: :func:`infilling`.
    """
    spaced = spaced_tokens(tokenizer, model.config.vocab_size)
    vocabulary = replace(tokenizer.vocabulary, spaced=spaced)
    asked = []
    for index, hole in enumerate(holes):
        _, space = hand_over_space(hole.left, vocabulary)
        length = len(tokenizer.encode(" " + hole.removed if space else hole.removed))
        asked += hole_requests([hole.left, hole.right], [(length,)], tokenizer, vocabulary, settings, index)
    samples = generate(model, sampler, [a.request for a in asked], vocabulary, batch_size=batch_size)
    return [hole_texts(sample.tokens, a, tokenizer)[0] for sample, a in zip(samples, asked, strict=True)]


def score_fills(holes: Sequence[Hole], fills: Sequence[str]) -> FillScore:
    """Score fillings against the removed text.

    Args:
        holes: The holes [N].
        fills: One filling each [N].

    Raises:
        Error: sacrebleu or rouge-score is not installed.
    """
    written, removed = [fill.strip() for fill in fills], [hole.removed.strip() for hole in holes]
    each = rouge_l(written, removed)
    exact = np.array([a == b for a, b in zip(written, removed, strict=True)])
    document = np.array([hole.document for hole in holes])
    documents = int(document.max()) + 1
    bleu, signature = corpus_bleu(written, removed)
    return FillScore(
        holes=len(holes),
        bleu=bleu,
        sentence_bleu=float(sentence_bleu(written, removed).mean()),
        chrf=corpus_chrf(written, removed),
        rouge_l=float(each.mean()),
        rouge_l_interval=mean_interval(document, documents, each),
        exact=float(exact.mean()),
        exact_interval=mean_interval(document, documents, exact, share=True),
        signature=signature,
        each=each,
    )


def infilling_controls(holes: Sequence[Hole], texts: Sequence[str], *, seed: int = 0) -> dict[str, FillScore]:
    """Score fillings that need no model, on the same holes: ``unigram``, ``other document`` and ``removed text``.

    Args:
        holes: From :func:`make_holes`.
        texts: The documents they were made from.
        seed: Of the drawn words and spans.

    Raises:
        Error: fewer than two documents have words.
    """
    fillers = {
        "unigram": unigram_fills(holes, texts, seed=seed),
        "other document": other_fills(holes, texts, seed=seed),
        "removed text": [hole.removed for hole in holes],
    }
    return {name: score_fills(holes, fills) for name, fills in fillers.items()}
