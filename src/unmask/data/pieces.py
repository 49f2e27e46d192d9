"""What is seen of a text that is being written: tokens put together until no letter is split between them.

A token may hold a part of a character (bytes) or a vowel sign without its consonant. A *piece* is the shortest run of
neighbouring decided tokens that begins and ends with a cluster; an open position is a piece of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unmask.data.visible import clusters

DOTTED = "\u25cc"
"""Stands where the letter is still open that a sign belongs to."""


@dataclass(frozen=True)
class Piece:
    """A part of a text that is shown as one.

    Attributes:
        start: Its first position.
        end: The position behind its last.
        text: What its tokens say; ``None``: it is open.
    """

    start: int
    end: int
    text: str | None


def pieces(tokens: Sequence[int], committed: Sequence[bool], text_of: Callable[[int], bytes]) -> list[Piece]:
    """Return the pieces of a text, in order; tokens that say nothing are left out.

    Args:
        tokens: Ids of its positions.
        committed: Which are decided.
        text_of: Bytes of a token.
    """
    found: list[Piece] = []
    start = 0
    for place in range(len(tokens) + 1):
        if place < len(tokens) and committed[place]:
            continue
        found += _decided(start, [text_of(token) for token in tokens[start:place]])
        if place < len(tokens):
            found.append(Piece(place, place + 1, None))
        start = place + 1
    return found


def words(data: bytes) -> str:
    """Return the text of bytes; a sign whose letter is missing gets a dotted circle to stand on."""
    text = data.decode("utf-8", "replace")
    return DOTTED + text if text and unicodedata.category(text[0]) in ("Mn", "Mc", "Me") else text


def _decided(first: int, parts: list[bytes]) -> list[Piece]:
    """Return the pieces of neighbouring decided tokens."""
    data = b"".join(parts)
    ends, at = {0}, 0
    for cluster in clusters(data.decode("utf-8", "surrogateescape")):
        at += len(cluster.encode("utf-8", "surrogateescape"))
        ends.add(at)
    found, start, begin, at = [], 0, 0, 0
    for place, part in enumerate(parts, 1):
        at += len(part)
        if at in ends and at > begin:
            found.append(Piece(first + start, first + place, words(data[begin:at])))
            start, begin = place, at
        elif at == begin:
            start = place
    return found
