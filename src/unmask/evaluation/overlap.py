"""Overlap of texts with reference texts: BLEU, chrF and ROUGE-L, by the libraries that papers quote.

* BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacrebleu (Post 2018, arXiv 1804.08771), 0 to 100. Its
  ``intl`` tokenizer splits punctuation in every script.
* ROUGE-L (Lin 2004), F-measure of the longest common subsequence of words, by rouge-score, 0 to 1. Its own tokenizer
  throws away all but a-z and 0-9, so ours is given to it.
* self-BLEU (Zhu et al. 2018, arXiv 1802.01886): the mean BLEU of each text against all the others. High means that
  texts are alike.

Letters: N texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import Error
from unmask.evaluation.text import words

Reals = NDArray[np.float64]


def corpus_bleu(texts: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """Return BLEU of all texts together, 0 to 100, and sacrebleu's signature.

    Args:
        texts: Texts [N].
        references: One reference a text [N].
    """
    metric = _sacrebleu().BLEU(tokenize="intl")
    score = metric.corpus_score(list(texts), [list(references)])
    return float(score.score), str(metric.get_signature())


def sentence_bleu(texts: Sequence[str], references: Sequence[str]) -> Reals:
    """Return BLEU of each text [N], 0 to 100, up to the longest n-gram that the text has (effective order).

    Args:
        texts: Texts [N].
        references: One reference a text [N].
    """
    metric = _sacrebleu().BLEU(tokenize="intl", effective_order=True)
    return np.array([metric.sentence_score(t, [r]).score for t, r in zip(texts, references, strict=True)])


def corpus_chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return chrF2 (character n-grams up to 6) of all texts together, 0 to 100.

    Args:
        texts: Texts [N].
        references: One reference a text [N].
    """
    return float(_sacrebleu().CHRF().corpus_score(list(texts), [list(references)]).score)


def rouge_l(texts: Sequence[str], references: Sequence[str]) -> Reals:
    """Return the ROUGE-L F-measure of each text [N], 0 to 1.

    Args:
        texts: Texts [N].
        references: One reference a text [N].

    Raises:
        Error: rouge-score is not installed.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise Error("ROUGE-L needs rouge-score; install it with: pip install 'unmask[metrics]'") from error
    scorer = RougeScorer(["rougeL"], tokenizer=_Words())
    return np.array([scorer.score(r, t)["rougeL"].fmeasure for t, r in zip(texts, references, strict=True)])


def self_bleu(texts: Sequence[str], *, most: int = 32, seed: int = 0) -> float | None:
    """Return the mean BLEU of each text against all the others, 0 to 100; ``None`` for fewer than two texts.

    It grows with the number of texts and with their length: compare it only with real text of the same size
    (:func:`unmask.evaluation.text.real_like`) and the same seed, which then takes the same places of the list.

    Args:
        texts: Texts [N]. Empty ones count: they score 0.
        most: Texts taken at most, as the cost grows with their square.
        seed: Of their choice.

    Raises:
        Error: sacrebleu is not installed.
    """
    if len(texts) < 2:
        return None
    chosen = np.sort(np.random.default_rng(seed).permutation(len(texts))[:most])
    split = [" ".join(words(texts[i])) for i in chosen]
    metric = _sacrebleu().BLEU(tokenize="none", effective_order=True)
    scores = [metric.sentence_score(text, [*split[:i], *split[i + 1 :]]).score for i, text in enumerate(split)]
    return float(np.mean(scores))


class _Words:
    """Our words, behind the method that rouge-score calls."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def _sacrebleu() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise Error("BLEU needs sacrebleu; install it with: pip install 'unmask[metrics]'") from error
    return metrics
