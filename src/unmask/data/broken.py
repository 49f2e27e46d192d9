"""Characters that a reader cannot read, or cannot see: broken clusters, invisible characters, odd code points.

A cluster is *broken* where it begins with a mark that stands on nothing, or on a blank or sign, or where it is
Devanagari and no syllable of it (Unicode 12.1, Devanagari; the order of Microsoft's OpenType specification):

    consonant nukta? (virama joiner? consonant nukta?)* (virama joiner? | vowel sign)? , or a vowel letter;
    then candrabindu or anusvara, visarga, accents, once each

Two vowel signs on one consonant, a vowel sign on a vowel letter (but for the candra, as in अॅ) or behind a virama, a
nukta on a vowel: all broken. It tells a slip of a model or of a keyboard, not a misspelt word.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

import regex

INVISIBLE = {
    "\u00ad": "soft hyphen",
    "\u034f": "grapheme joiner",
    "\u061c": "Arabic letter mark",
    "\u200b": "zero-width space",
    "\u200c": "ZWNJ",
    "\u200d": "ZWJ",
    "\u200e": "left-to-right mark",
    "\u200f": "right-to-left mark",
    "\u2060": "word joiner",
    "\ufeff": "byte order mark",
}
"""Characters without a shape of their own. ZWJ and ZWNJ decide how conjuncts look: they belong to Hindi text."""

_CONSONANT = r"[\u0915-\u0939\u0958-\u095f\u0978-\u097f]\u093c?"
_VOWEL = r"[\u0904-\u0914\u0960\u0961\u0972-\u0977]"
_SIGN = r"[\u093a\u093b\u093e-\u094c\u094e\u094f\u0955-\u0957\u0962\u0963]"
_VIRAMA = r"\u094d[\u200c\u200d]?"
_ENDS = r"[\u0900-\u0902]?\u0903?[\u0951-\u0954\u1cd0-\u1cff\ua8e0-\ua8f1]*[\u200c\u200d]?"
_SYLLABLE = regex.compile(
    rf"(?:{_CONSONANT}(?:{_VIRAMA}{_CONSONANT})*(?:{_VIRAMA}|{_SIGN})?|{_VOWEL}[\u0945\u0946]?"
    rf"|[\u093d\u0950\u0970\u0971\ua8f2-\ua8ff]){_ENDS}"
)
_DEVANAGARI = regex.compile(r"\p{Script=Devanagari}")
_INDIC_SIGN = regex.compile(r"(?=\p{M})[\u0900-\u0dff]")
_ODD = {
    name: regex.compile(pattern, regex.V1)
    for name, pattern in (
        ("U+FFFD", "\ufffd"),
        ("control", r"[\p{Cc}--[\t\n\r]]"),
        ("private use", r"\p{Co}"),
        ("lone surrogate", r"\p{Cs}"),
        ("unassigned", r"\p{Cn}"),
    )
}


@lru_cache(1 << 14)
def is_broken(cluster: str) -> bool:
    """Tell whether a grapheme cluster is none that the script's rules let be written."""
    first, *rest = cluster
    if unicodedata.category(first) in ("Mn", "Mc"):
        return True
    if _DEVANAGARI.match(first) and unicodedata.decimal(first, None) is None:
        return not _SYLLABLE.fullmatch(unicodedata.normalize("NFD", cluster))
    on_letter = unicodedata.category(first) in ("Lo", "Lm") or first == "\u25cc"  # a dotted circle shows a sign alone
    return not on_letter and any(map(_INDIC_SIGN.match, rest))


def odd_characters(text: str) -> Counter[str]:
    """Count what does not belong in text: U+FFFD, controls, private use, lone surrogates, unassigned code points."""
    counted = Counter(text)
    kinds = {name: sum(n for sign, n in counted.items() if one.match(sign)) for name, one in _ODD.items()}
    return Counter({name: count for name, count in kinds.items() if count})


def invisible_characters(text: str) -> Counter[str]:
    """Count the characters of :data:`INVISIBLE`, by name."""
    return Counter({name: count for sign, name in INVISIBLE.items() if (count := text.count(sign))})
