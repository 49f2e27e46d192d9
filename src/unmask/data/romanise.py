"""Devanagari in Latin letters as Hindi is typed on a keyboard without it, and what different spellings share.

An inherent ``a`` is silent at a word's end, and between a vowel and a last consonant with a vowel behind it
(``करता``: karta). That is the rule of thumb of Hindi schwa deletion; it errs where morphology decides.

A *key* is what spellings of one word have in common, whatever the script: no vowel length, no nasal at the end, no
doubled letter, and the letters that writers mix up (w, v; z, j; ph, f) are one.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

from unmask.data.scripts import spans

_CONSONANTS = dict(
    zip(
        "कखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसहळ",
        "k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l v sh sh s h l".split(),
        strict=True,
    )
)
_NUKTA = {"क": "q", "ख": "kh", "ग": "g", "ज": "z", "ड": "d", "ढ": "dh", "फ": "f", "य": "y"}
_SIGNS = dict(zip("ािीुूृेैोौॅॉ", "aa i ee u oo ri e ai o au e o".split(), strict=True))
_VOWELS = dict(zip("अआइईउऊऋएऐओऔऍऑ", "a aa i ee u oo ri e ai o au e o".split(), strict=True))
_NASAL, _VIRAMA, _INHERENT = "\u0901\u0902", "\u094d", "\0"
_WORD = regex.compile(r"[\p{Script=Devanagari}\u200c\u200d]+")


def romanise(text: str) -> str:
    """Return a text with its Devanagari words in Latin letters; all else stays.

    Devanagari digits become ASCII ones, a danda a full stop.
    """
    text = _WORD.sub(lambda found: _roman(found[0]), unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", text.replace("।", ".").replace("॥", "."))


@lru_cache(1 << 16)
def _roman(word: str) -> str:
    """Return a word of decomposed Devanagari in Latin letters."""
    out: list[str] = []
    for place, sign in enumerate(word):
        if sign in _CONSONANTS:
            dotted = word[place + 1 : place + 2] == "\u093c"
            out += [_NUKTA.get(sign, _CONSONANTS[sign]) if dotted else _CONSONANTS[sign], _INHERENT]
        elif sign in _SIGNS or sign == _VIRAMA:
            if out and out[-1] == _INHERENT:
                out.pop()
            out.append(_SIGNS.get(sign, ""))
        elif sign in _VOWELS:
            out.append(_VOWELS[sign])
        elif sign in _NASAL:
            out.append("n")
        elif sign == "\u0903":
            out.append("h")
        elif unicodedata.decimal(sign, None) is not None:
            out.append(str(unicodedata.decimal(sign)))
    spelt = "".join(out)
    spelt = regex.sub(r"(?<=[aeiou\0][^aeiou\0]+)\0$", "", spelt)
    spelt = regex.sub(r"(?<=[aeiou\0][^aeiou\0]{1,2})\0(?=[^aeiou\0]{1,2}[aeiou])", "", spelt)
    return spelt.replace(_INHERENT, "a")


_FOLDS = [
    (regex.compile(pattern), folded)
    for pattern, folded in (
        (r"[^a-z]", ""),
        (r"ee|ii", "i"),
        (r"oo|uu", "u"),
        (r"ei|ey", "e"),
        (r"(?<=i)y(?=[eo])", ""),
        (r"w", "v"),
        (r"[zq]", lambda found: {"z": "j", "q": "k"}[found[0]]),
        (r"ph", "f"),
        (r"(.)\1+", r"\1"),
        (r"chh", "ch"),
        (r"(?<=[aeiou])n$", ""),
    )
]


@lru_cache(1 << 16)
def key(word: str) -> str:
    """Return what the spellings of a word share, of Devanagari and Latin letters alike; of others nothing."""
    spelt = romanise(word).casefold()
    for pattern, folded in _FOLDS:
        spelt = pattern.sub(folded, spelt)
    return spelt


_SOUNDS = {
    "consonants": {name: sign for sign, name in _CONSONANTS.items()}
    | {"sh": "श", "l": "ल", "w": "व", "z": "ज़", "f": "फ़", "q": "क़", "c": "क", "x": "क्स"},
    "signs": {name: sign for sign, name in reversed(_SIGNS.items())} | {"a": ""},
    "vowels": {name: sign for sign, name in reversed(_VOWELS.items())},
}
_SOUND = regex.compile(r"[bcdgjkpst]h|chh|[b-df-hj-np-tv-z]|aa|ai|au|ee|oo|[aeiou]")


def flipped(text: str) -> str:
    """Return a text in the other script: Devanagari romanised, Latin letters by their sound in Devanagari.

    A control, not a transliteration: ``office`` becomes ओफ़्फ़िके. Every cluster of it is whole.
    """
    parts = spans(text)
    turned = {"devanagari": romanise, "latin": _by_sound}
    return "".join(turned.get(part.script, str)(text[part.start : part.end]) for part in parts)


def _by_sound(word: str) -> str:
    plain = unicodedata.normalize("NFD", word).casefold()
    out, closed = "", True
    for sound in _SOUND.findall(plain):
        if sound in _SOUNDS["consonants"]:
            out += ("" if closed else "\u094d") + _SOUNDS["consonants"][sound]
            closed = False
        else:
            out += _SOUNDS["vowels" if closed else "signs"][sound]
            closed = True
    return out
