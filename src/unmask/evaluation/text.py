"""What a text looks like to a counter of words: the cheap signs that a generator has collapsed.

* distinct-n: different n-grams / all n-grams over all texts (Li et al. 2016, arXiv 1510.03055).
* repeated 4-grams: share of a text's 4-grams that it has said before (Welleck et al. 2020, arXiv 1908.04319).
* unigram entropy: -sum p log2 p over words; a sampler at a lower temperature than it says shows here.

All of them depend on how much text is counted, so they are only compared at equal size: :func:`real_like` cuts real
text to the same number of words, text by text. None of them says that a text is good; they say when it is not.

Letters: N texts, W words.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np


def words(text: str) -> list[str]:
    """Split a text into lower-case words and single punctuation marks, in any script."""
    return [word.casefold() for word in _word().findall(text)]


@cache
def _word() -> re.Pattern[str]:
    """A word keeps its combining marks and joiners (Devanagari vowel signs, ZWJ, ZWNJ) and inner apostrophes."""
    marks = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M")
    inside = rf"[\w{marks}\u200c\u200d]+"  # Python's \w leaves marks out
    return re.compile(rf"{inside}(?:['’]{inside})*|\S")


@dataclass(frozen=True)
class TextQuality:
    """Counts over a set of texts.

    Attributes:
        distinct_1: Share of words that are different words.
        distinct_2: The same for pairs.
        distinct_3: The same for triples.
        repeated_4: Share of 4-grams that repeat one of the same text.
        entropy: Unigram entropy in bits a word.
        words: Mean words a text.
        bytes: Mean bytes a text: of UTF-8, or those that the texts stand for where they are said.
        texts: Number of texts (N).
    """

    distinct_1: float
    distinct_2: float
    distinct_3: float
    repeated_4: float
    entropy: float
    words: float
    bytes: float
    texts: int

    def to_dict(self) -> dict[str, float | int]:
        """Return the measures by name."""
        return asdict(self)


def text_quality(texts: Sequence[str], sizes: Sequence[int] | None = None) -> TextQuality:
    """Count texts. Measures of nothing (no words, no 4-grams) are 0.

    Args:
        texts: Texts as they are shown.
        sizes: The bytes that each stands for, where it is shown otherwise (a byte that is no UTF-8 as U+FFFD).
    """
    sizes = [len(text.encode()) for text in texts] if sizes is None else sizes
    split = [words(text) for text in texts]
    counts = Counter(word for row in split for word in row)
    total = sum(counts.values())
    p = np.array(list(counts.values())) / max(total, 1)
    four = [_grams(row, 4) for row in split]
    said = sum(map(len, four))
    return TextQuality(
        distinct_1=_distinct(split, 1),
        distinct_2=_distinct(split, 2),
        distinct_3=_distinct(split, 3),
        repeated_4=1.0 - sum(len(set(row)) for row in four) / said if said else 0.0,
        entropy=max(0.0, float(-(p * np.log2(p)).sum())),
        words=total / max(len(split), 1),
        bytes=sum(sizes) / max(len(texts), 1),
        texts=len(texts),
    )


def real_like(texts: Sequence[str], real: Sequence[str]) -> list[str]:
    """Return real text of the same size, text by text: the start of a real document, cut to as many words.

    Each text takes the first unused document that is long enough, else the longest unused one; documents are used
    again only after all were used.

    Raises:
        ValueError: no real document.
    """
    if not real:
        raise ValueError("there is no real text to compare with")
    sizes = [len(words(text)) for text in real]
    wanted = [len(words(text)) for text in texts]
    matched = [""] * len(texts)
    unused: list[int] = []
    for place in sorted(range(len(texts)), key=lambda i: -wanted[i]):
        unused = unused or list(range(len(real)))
        pick = next((i for i in unused if sizes[i] >= wanted[place]), None)
        pick = max(unused, key=lambda i: sizes[i]) if pick is None else pick
        unused.remove(pick)
        matched[place] = first_words(real[pick], wanted[place])
    return matched


def first_words(text: str, count: int) -> str:
    """Return the start of a text with ``count`` words, spaces kept."""
    if count <= 0:
        return ""
    end = 0
    for number, match in enumerate(_word().finditer(text), start=1):
        end = match.end()
        if number == count:
            return text[:end]
    return text[:end]


def shuffled_words(texts: Sequence[str], seed: int = 0) -> list[str]:
    """Return the texts with the words of each in random order: the control that keeps the words and loses the sense."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.permutation(split)) if (split := text.split()) else "" for text in texts]


def unigram_words(texts: Sequence[str], seed: int = 0) -> list[str]:
    """Return texts of as many words each, drawn by their frequency in all of them: the words without any company."""
    rng = np.random.default_rng(seed)
    split = [text.split() for text in texts]
    pool = [word for row in split for word in row]
    return [" ".join(pool[i] for i in rng.integers(len(pool), size=len(row))) if row else "" for row in split]


def _grams(row: list[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(row[i:] for i in range(n)), strict=False))


def _distinct(split: Sequence[list[str]], n: int) -> float:
    grams = [gram for row in split for gram in _grams(row, n)]
    return len(set(grams)) / len(grams) if grams else 0.0
