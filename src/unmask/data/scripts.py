r"""Which script a text is written in, cluster by cluster and span by span (UAX #24); where clusters begin (UAX #29).

A *cluster* is what readers take for one letter: ``regex``'s ``\X``, which keeps rule GB9c of Unicode 15.1 and later. It
joins consonant, virama and consonant in Devanagari, Bengali, Gujarati, Odia, Telugu and Malayalam (a ZWJ between them
too; a ZWNJ parts them), and leaves Tamil's and Kannada's apart, as the rule does.

A cluster has the script of its first character; what Unicode calls inherited (an accent, a joiner) goes with any. A
*word* is a run of clusters that are letters; digits, blanks and signs end it. A word of two scripts is *mixed* as a
whole. Letters that are neither Devanagari nor Latin are *other*, all of them alike: Japanese writes three scripts in
one word and is not mixed by that.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import Literal, NamedTuple, get_args

import regex

Script = Literal["devanagari", "latin", "digit", "other", "mixed", "common"]
"""``other``: letters of all other scripts. ``common``: blanks, signs, marks and joiners that belong to no script."""
SCRIPTS: tuple[Script, ...] = get_args(Script)

_LETTERS = ("devanagari", "latin", "other", "mixed")
_OF = {
    "digit": regex.compile(r"\p{Nd}"),
    "devanagari": regex.compile(r"\p{Script=Devanagari}"),
    "latin": regex.compile(r"\p{Script=Latin}"),
    "other": regex.compile(r"[[\p{L}\p{M}]--\p{Script=Common}--\p{Script=Inherited}]", regex.V1),
}
_CLUSTER = regex.compile(r"\X")


class Span(NamedTuple):
    """A part of a text in one script: ``text[start:end]``, in characters."""

    start: int
    end: int
    script: Script


@lru_cache(1 << 14)
def script_of(character: str) -> Script:
    """Return the script of one character. Digits of every script are ``digit``; no character is ``mixed``."""
    return next((name for name, one in _OF.items() if one.match(character)), "common")  # type: ignore[return-value]


def clusters(text: str) -> list[int]:
    """Return where each cluster begins, in characters; none of an empty text."""
    return [found.start() for found in _CLUSTER.finditer(text)]


@lru_cache(1 << 14)
def script_of_cluster(cluster: str) -> Script:
    """Return the script of a cluster: of its first character; ``mixed`` where a letter has another script's sign."""
    first, *rest = (script_of(character) for character in cluster)
    return "mixed" if first in _LETTERS and {*rest} & {*_LETTERS} - {first} else first


def spans(text: str) -> list[Span]:
    """Cut a text into spans of one script each, the longest possible. They join back to the text.

    Returns:
        Spans in order, without gap; neighbours differ in script. Blanks and signs between two words are a ``common``
        span of their own.
    """
    found: list[Span] = []
    start = 0
    pieces = [(len(each), script_of_cluster(each)) for each in _CLUSTER.findall(text)]
    for is_word, run in groupby(pieces, lambda piece: piece[1] in _LETTERS):
        parts = [(sum(size for size, _ in part), script) for script, part in groupby(run, lambda piece: piece[1])]
        if is_word and len(parts) > 1:
            parts = [(sum(size for size, _ in parts), "mixed")]
        for size, script in parts:
            found.append(Span(start, start + size, script))
            start += size
    return found
