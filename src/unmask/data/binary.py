"""Bytes of any kind as text: one character a byte (Latin-1), so that corpora, windows and splits need no second path.

The text of a binary corpus is this form, never what the bytes would read as: byte 233 is one character, U+00E9, whose
UTF-8 would be two bytes. Whoever counts or encodes bytes of a text asks :func:`raw`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unmask.errors import Error

_FORM = "latin-1"


def as_text(data: bytes) -> str:
    """Return bytes as a text of as many characters; :func:`raw` gives them back."""
    return data.decode(_FORM)


def raw(text: str, binary: bool) -> bytes:
    """Return the bytes that a text stands for.

    Args:
        text: A text; a binary one has a character a byte.
        binary: Which of the two it is; other text is UTF-8.

    Raises:
        Error: a binary text with a character that is no byte.
    """
    try:
        return text.encode(_FORM if binary else "utf-8")
    except UnicodeEncodeError as error:
        if not binary:
            raise
        raise Error(
            f"character {error.start} of a binary text is U+{ord(text[error.start]):04X}, and 255 is the last byte. "
            "Give bytes as one character each (decode them as Latin-1)."
        ) from error


def pieces(chunks: Iterable[bytes], longest: int, size: int) -> Iterator[bytes]:
    """Yield one document, or, where there are more than ``longest`` bytes, pieces of ``size``; together they are all.

    Args:
        chunks: The bytes of a file, in parts of any size.
        longest: Bytes of the longest document that stays whole.
        size: Bytes of a piece, at most ``longest``.
    """
    held, long = b"", False
    for chunk in chunks:
        held += chunk
        long = long or len(held) > longest
        if long:
            whole = len(held) - len(held) % size
            for start in range(0, whole, size):
                yield held[start : start + size]
            held = held[whole:]
    if held:
        yield held
