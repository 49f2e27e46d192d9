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

from unmask.lines import visible as visible

_WIDENS = "\ufe0f"
"""Asks for the coloured form of a character, which is wider."""


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
