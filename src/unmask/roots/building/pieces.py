"""Documents cut into pieces that a vector can stand for: at most so many bytes each, none lost.

The pieces of a document put one behind the other are the document. A piece ends, in this order of preference, behind
the last blank line, line end, sentence end or space of its second half; else before the character that no longer fits.
"""

from __future__ import annotations

from collections.abc import Iterator

from unmask.errors import Error

SHORTEST = 64
_BORDERS = (b"\n\n", b"\n", b". ", b"\xe0\xa5\xa4 ", b" ")  # the fourth is a danda, Devanagari's full stop


def check_length(most: int) -> None:
    """Refuse a bound that no piece of text could keep.

    Raises:
        Error: below :data:`SHORTEST` bytes; 0 is allowed and means whole documents.
    """
    if most and most < SHORTEST:
        raise Error(f"passage is {most}; give pieces at least {SHORTEST} bytes, or 0 for whole documents.")


def pieces(document: bytes, most: int) -> Iterator[bytes]:
    """Yield a document's pieces.

    Args:
        document: UTF-8.
        most: Bytes of a piece at most; 0: the whole document.
    """
    start = 0
    while most and len(document) - start > most:
        end = _border(document, start, start + most)
        yield document[start:end]
        start = end
    if start < len(document):
        yield document[start:]


def _border(document: bytes, start: int, limit: int) -> int:
    half = start + (limit - start) // 2
    for mark in _BORDERS:
        place = document.rfind(mark, half, limit)
        if place >= 0:
            return place + len(mark)
    while document[limit] & 0xC0 == 0x80:  # inside a character
        limit -= 1
    return limit
