"""Styled text broken into lines that fit a terminal, between words and never within a letter.

The terminal must not break a line itself: a picture that is drawn again and again would then be drawn a line too low.
So a line is measured by the width that no terminal exceeds (:func:`unmask.data.visible.cells`).
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from unmask.data.visible import cells, clusters, visible

TAB = "    "
_Line = list[tuple[str, str]]


def lines(parts: Iterable[tuple[str, str]], width: int) -> list[Text]:
    """Return the lines of a text.

    Args:
        parts: Text and its style.
        width: Cells of a line.
    """
    done, used, word = [_Line()], 0, list[tuple[str, str, int]]()

    def put() -> None:
        nonlocal used
        size = sum(each for _, _, each in word)
        if used and used + size > width and size <= width:
            done.append(_Line())
            used = 0
        for letter, style, wide in word:
            if used + wide > width:
                done.append(_Line())
                used = 0
            _append(done[-1], letter, style)
            used += wide
        word.clear()

    for text, style in parts:
        for letter in clusters(visible(text).replace("\t", TAB)):
            if letter in ("\n", " "):
                put()
            if letter == "\n":
                done.append(_Line())
                used = 0
            elif letter != " ":
                word.append((letter, style, cells(letter)))
            elif used < width:  # else the line is broken here, and the space is not seen
                _append(done[-1], letter, style)
                used += 1
    put()
    return [Text.assemble(*line, no_wrap=True, overflow="ignore") for line in done]


def _append(line: _Line, letter: str, style: str) -> None:
    """Add a letter to a line, to the part before it where that looks alike."""
    if line and line[-1][1] == style:
        line[-1] = (line[-1][0] + letter, style)
    else:
        line.append((letter, style))
