"""Romanised Hindi against English, word by word: a small classifier, and what its neighbours say of a word.

A word's log-odds are linear in its character n-grams (2 to 4, with its ends) and in the word itself, hashed into one
table. Neighbours count through a chain of two states (forward-backward); they alone decide of ``main``, ``to``, ``me``,
``is`` and the like, which are words of both languages. Nobody labelled the text that it was fitted to: see
``benchmarks/studies/hindi/languages.py``, which makes the table again and measures it on lines labelled by hand.

Handles, hashtags and addresses are no words. Names are given a language too, which means little: romanised names have
none.

Letters: W words, F entries of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from math import exp
from typing import NamedTuple
from zlib import crc32

import numpy as np
import regex
from jaxtyping import Float64
from numpy.typing import NDArray

TABLE = "hinglish.npz"
"""In ``unmask.packaged``: ``weights`` int8 [F], their ``scale``, the ``bias``, and how likely a language ``stays``."""
BUCKETS = 1 << 14
BESIDE = 6.0
"""Nats against Hindi in a line that holds Devanagari: who writes Hindi in its own script has Latin letters for English.
With it 90 % of the Latin words of technical Hindi (``mixed-hi-en.train``) are English, without it 69 %; of the words of
Hinglish that alone are Hindi, 82 % would stay so."""
BOTH = frozenset("main to me is the he do us hum bar are men pure bad use".split())
"""Frequent words of both languages (मैं, तो, में, इस, थे ...): their neighbours alone decide."""
_DEVANAGARI = regex.compile(r"\p{Devanagari}")
_FIRM = 20.0
"""Most nats that a word says of itself."""

_WORD = regex.compile(
    r"(?:(?:https?[:/]|www\.|pic\.twitter)\S*|[@#]\w+)(*SKIP)(*FAIL)|\p{Latin}[\p{Latin}\p{Inherited}]*(?:['’]\p{Latin}+)*",
    regex.V1,
)


class RomanWord(NamedTuple):
    """A word in Latin letters: ``text[start:end]``.

    Attributes:
        start: In characters.
        end: In characters.
        hindi: How likely it is Hindi rather than English.
    """

    start: int
    end: int
    hindi: float


class Table(NamedTuple):
    """A fitted classifier.

    Attributes:
        weights: Of the hashed features, in nats [F].
        bias: Added to their sum: a word's log-odds, were both languages as frequent, in nats.
        stays: Probability that the next word is of the same language: Hindi, English.
    """

    weights: Float64[np.ndarray, " F"]
    bias: float
    stays: tuple[float, float]


def roman_words(text: str) -> list[tuple[int, int]]:
    """Return where words in Latin letters stand: start and end, in characters."""
    return [found.span() for found in _WORD.finditer(text)]


@lru_cache(1 << 16)
def features(word: str) -> tuple[int, ...]:
    """Return the entries of the table that a word has: itself, and its character 2- to 4-grams with its ends."""
    inside = f"^{word.casefold().replace('’', chr(39))}$"
    grams = {inside[at : at + n] for n in (2, 3, 4) for at in range(len(inside) - n + 1)} | {f"={inside}"}
    return tuple(sorted({crc32(gram.encode("utf-8", "surrogatepass")) % BUCKETS for gram in grams}))


def roman_languages(text: str, table: Table | None = None) -> list[RomanWord]:
    """Tell romanised Hindi from English.

    Args:
        text: Any text; words in other scripts are passed over.
        table: A fitted classifier; default the one in the package.
    """
    chain = packaged_table() if table is None else table
    found, start = [], 0
    for line in text.split("\n"):
        places = roman_words(line)
        words = [line[a:b] for a, b in places]
        odds = [_packaged_odds(word) if table is None else odds_of(word, table) for word in words]
        if places and _DEVANAGARI.search(line):
            odds = [each - BESIDE for each in odds]
        chances = in_company(odds, chain)
        found += [RomanWord(start + a, start + b, p) for (a, b), p in zip(places, chances, strict=True)]
        start += len(line) + 1
    return found


def odds_of(word: str, table: Table) -> float:
    """Return the log-odds that a word alone is Hindi, were both languages as frequent, in nats; of ``BOTH`` 0."""
    return 0.0 if word.casefold() in BOTH else table.bias + float(table.weights[list(features(word))].sum())


def in_company(odds: Sequence[float], table: Table) -> list[float]:
    """Return how likely each word of a line is Hindi, its neighbours heard (forward-backward).

    Args:
        odds: Log-odds of each word alone, were both languages as frequent [W].
        table: Whose chain is used.
    """
    says = [1 / (1 + exp(-min(max(each, -_FIRM), _FIRM))) for each in odds]
    hindi, english = table.stays
    before: list[float] = []
    chance = (1 - english) / (2 - hindi - english)  # the chain's own share of Hindi
    for place, said in enumerate(says):
        moved = chance if place == 0 else chance * hindi + (1 - chance) * (1 - english)
        yes, no = said * moved, (1 - said) * (1 - moved)
        chance = yes / (yes + no)
        before.append(chance)
    found = list(before)
    yes, no = 1.0, 1.0  # what the words behind say of a word that is Hindi, or English
    for place in range(len(says) - 2, -1, -1):
        yes, no = says[place + 1] * yes, (1 - says[place + 1]) * no
        yes, no = hindi * yes + (1 - hindi) * no, (1 - english) * yes + english * no
        yes, no = yes / (yes + no), no / (yes + no)
        both = before[place] * yes
        found[place] = both / (both + (1 - before[place]) * no)
    return found


@lru_cache(1 << 16)
def _packaged_odds(word: str) -> float:
    return odds_of(word, packaged_table())


@cache
def packaged_table() -> Table:
    """Return the classifier that the package brings."""
    with (files("unmask.packaged") / TABLE).open("rb") as file, np.load(file) as held:
        weights: NDArray[np.float64] = held["weights"].astype(np.float64) * float(held["scale"])
        return Table(weights, float(held["bias"]), (float(held["stays"][0]), float(held["stays"][1])))
