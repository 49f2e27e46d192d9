"""Fonts for what matplotlib's own lack: a text whose glyphs are missing gets the first installed font that has them.

Pages leave that to the browser. matplotlib draws glyphs one by one and joins none: a conjunct of Devanagari stands as
its letters and virama, readable, and not as it is printed.
"""

from __future__ import annotations

from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text


def fall_back(figure: Figure) -> None:
    """Give every text of a figure that its font cannot show another font to fall back to, where one is installed."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        wanted = {character for character in text.get_text() if character.isprintable()}
        missing = wanted - _charmap(findfont(text.get_fontproperties()))
        if missing and (other := font_for("".join(sorted(missing)))):
            text.set_fontfamily([*text.get_fontfamily(), other])


@cache
def font_for(characters: str) -> str | None:
    """Return the family of an installed font that has all of some characters; ``None``: there is none."""
    fonts = sorted((font.name, font.fname) for font in fontManager.ttflist if "resort" not in font.name.lower())
    return next((name for name, path in fonts if {*characters} <= _charmap(path)), None)


@cache
def _charmap(path: str) -> frozenset[str]:
    return frozenset(map(chr, get_font(path).get_charmap()))
