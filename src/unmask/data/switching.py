"""Where a text goes from one language to another, and how mixed it is.

A word's language: Devanagari is Hindi; Latin letters are Hindi or English as ``hinglish`` tells; other scripts, digits
and words of two scripts have none. With n words that have one and m of the most frequent:

    CMI = 100 (1 - m / n)     code-mixing index (Das & Gambäck 2014), 0: one language; 50: two, half and half
    switch rate = changes of language between neighbours / (n - 1)

A text of Devanagari with romanised Hindi in it does not mix languages, and does mix scripts: ``by`` says which of the
two is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from unmask.data.hinglish import Table, roman_languages
from unmask.data.scripts import spans

By = Literal["language", "script"]


class Word(NamedTuple):
    """A word whose language is known: ``text[start:end]``."""

    start: int
    end: int
    script: str
    language: Literal["hindi", "english"]


def tagged_words(text: str, table: Table | None = None) -> list[Word]:
    """Return the words of a text that have a language, in order.

    Args:
        text: Any text.
        table: A fitted classifier of romanised words; default the one in the package.
    """
    parts = spans(text)
    mixed = {place for span in parts if span.script == "mixed" for place in range(span.start, span.end)}
    found = [Word(span.start, span.end, "devanagari", "hindi") for span in parts if span.script == "devanagari"]
    found += [
        Word(word.start, word.end, "latin", "hindi" if word.hindi > 0.5 else "english")
        for word in roman_languages(text, table)
        if word.start not in mixed
    ]
    return sorted(found)


def switches(words: Sequence[Word], by: By = "language") -> list[int]:
    """Return the numbers of the words at which the language (or script) is another than the word before had."""
    kinds = [getattr(word, by) for word in words]
    return [place for place in range(1, len(kinds)) if kinds[place] != kinds[place - 1]]


def switch_rate(words: Sequence[Word], by: By = "language") -> float | None:
    """Return changes per pair of neighbouring words, 0 to 1; ``None`` of fewer than two words."""
    return len(switches(words, by)) / (len(words) - 1) if len(words) > 1 else None


def code_mixing_index(words: Sequence[Word], by: By = "language") -> float | None:
    """Return the CMI of a text's words, 0 to 100; ``None`` of none."""
    counts = Counter(getattr(word, by) for word in words)
    return 100 * (len(words) - max(counts.values())) / len(words) if words else None
