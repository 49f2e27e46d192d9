"""Which documents of a source are trained on, by what they are written in: they go as a whole, and none is changed.

Aria kept documents with a share of Devanagari of 0.3 and of letters of 0.4; what it did beside that (NFKC, joiners
dropped) damages conjuncts, and has no counterpart here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from unmask.data.scripts import script_of

Share = Literal["devanagari", "latin", "letters"]
"""Of the letters and signs those of a script; ``letters``: letters and signs of what is not blank."""
Least = Mapping[Share, float]


def kept(text: str, least: Least) -> bool:
    """Tell whether a document has at least these shares."""
    filled = [character for character in text if not character.isspace()]
    letters = [character for character in filled if _is_letter(character)]
    found: dict[Share, float] = {"letters": len(letters) / max(1, len(filled))}
    for script in ("devanagari", "latin"):
        found[script] = sum(script_of(character) == script for character in letters) / max(1, len(letters))
    return all(found[name] >= share for name, share in least.items())


@lru_cache(1 << 14)
def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"
