"""Text from elsewhere, made fit to be shown: no control sequences, whole clusters, and how wide they can get.

A model, a corpus or a trace may hold any character. In a terminal an escape sequence moves the cursor, retitles the
window or writes to the clipboard; a bidirectional override shows the words of a line in an order that is not theirs.

A *cluster* is what readers take for one letter (UAX #29, extended grapheme clusters): a consonant with its vowel sign,
a conjunct, an emoji of several people. Terminals do not agree on the width of one: a Devanagari vowel sign takes a cell
in most, none in others. ``cells`` is the width that none exceeds, so a line cut by it is never broken a second time.
"""

from __future__ import annotations

import unicodedata

from rich.cells import get_character_cell_size

_KEPT = "\n\t"
_WIDENS = "\ufe0f"
"""Asks for the coloured form of a character, which is wider."""


def _pictures() -> dict[int, str]:
    shown = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT}
    shown[0x7F] = "\u2421"
    shown |= {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
    reordering = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    shown |= {code: f"\\u{code:04x}" for code in (*reordering, 0x2028, 0x2029, 0xFFFE, 0xFFFF)}
    return shown | {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}


_PICTURES = _pictures()


def visible(text: str) -> str:
    r"""Return text in which every control character can be seen and none acts; line feeds and tabs stay.

    ESC becomes ``␛`` and DEL ``␡``, others of the first 32 likewise; 0x9b, which some terminals take for an escape
    sequence's beginning, becomes ``\x9b``, a bidirectional override ``\u202e``. Joiners stay:
    words are spelt with them.
    """
    return text.translate(_PICTURES)


def clusters(text: str) -> list[str]:
    """Return the clusters that a text is made of, in order."""
    import regex  # here, so that a verb that cuts no text does not wait for it

    return regex.findall(r"\X", text)


def cells(text: str) -> int:
    """Return the most cells that a terminal may need for a text without line feeds and tabs."""
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if character == _WIDENS or character == "\xad" or unicodedata.category(character) == "Mc":
        return 1
    return get_character_cell_size(character)
