"""Holes in held-out text, and fillings of them that need no model.

A hole is 1 to 8 whole words with at least a word on either side, one in a window. Which windows are taken, and which
words out of them, depends on the text and the seed alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unmask.errors import Error
from unmask.evaluation.windows import cut_all

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Hole:
    """A window of held-out text without a span.

    Attributes:
        document: Number of the document.
        left: Text before the hole, its last space included.
        removed: The span.
        right: Text behind the hole.
        words: Words removed.
    """

    document: int
    left: str
    removed: str
    right: str
    words: int


def make_holes(
    texts: Sequence[str], *, window: int, count: int = 64, words: tuple[int, int] = (1, 8), seed: int = 0
) -> list[Hole]:
    """Take a span out of each of ``count`` windows.

    Args:
        texts: Held-out documents.
        window: Bytes of a window, as for :func:`unmask.evaluation.bits.bits_per_byte`.
        count: Most holes; the windows with the smallest keyed hashes are taken, whatever their order.
        words: Fewest and most words of a hole; a window with few words gets shorter ones.
        seed: Of windows, lengths and places.

    Raises:
        Error: no window is long enough.
    """
    low, high = words
    if not 1 <= low <= high:
        raise Error(f"holes of {low} to {high} words cannot be made; start at 1 or more.")
    holes: dict[bytes, Hole] = {}
    for piece in cut_all(texts, window):
        spans = [match.span() for match in _WORD.finditer(piece.text)]
        if len(spans) < low + 2:
            continue
        key = _digest(piece.text, seed)
        rng = np.random.default_rng(list(key))
        size = int(rng.integers(low, min(high, len(spans) - 2) + 1))
        first = int(rng.integers(1, len(spans) - size))
        start, end = spans[first][0], spans[first + size - 1][1]
        holes[key] = Hole(piece.document, piece.text[:start], piece.text[start:end], piece.text[end:], size)
    if not holes:
        raise Error(f"no window of {window} bytes has {low + 2} words; use a larger window or longer documents.")
    return [holes[key] for key in sorted(holes)[:count]]


def unigram_fills(holes: Sequence[Hole], texts: Sequence[str], *, seed: int = 0) -> list[str]:
    """Return as many words for each hole, drawn by their frequency in the other documents.

    Args:
        holes: The holes.
        texts: The documents they were made from.
        seed: Of the drawing, with the hole's own text.

    Raises:
        Error: no other document has words.
    """
    spans, fills = _spans(texts), []
    for hole in holes:
        rng, room = _others(hole, spans, 1, "unigram", seed)
        drawn = rng.choice(len(texts), hole.words, p=room / room.sum())
        fills.append(" ".join(_cut(texts, spans, d, int(rng.integers(len(spans[d]))), 1) for d in drawn))
    return fills


def other_fills(holes: Sequence[Hole], texts: Sequence[str], *, seed: int = 0) -> list[str]:
    """Return a span of as many words from another document for each hole: fluent, but out of place.

    Args:
        holes: The holes.
        texts: The documents they were made from.
        seed: Of the choice, with the hole's own text.

    Raises:
        Error: no other document has so many words.
    """
    spans, fills = _spans(texts), []
    for hole in holes:
        rng, room = _others(hole, spans, hole.words, "other", seed)
        donor = int(rng.choice(len(texts), p=room / room.sum()))
        fills.append(_cut(texts, spans, donor, int(rng.integers(room[donor])), hole.words))
    return fills


_Spans = list[list[tuple[int, int]]]


def _spans(texts: Sequence[str]) -> _Spans:
    return [[match.span() for match in _WORD.finditer(text)] for text in texts]


def _others(
    hole: Hole, spans: _Spans, words: int, use: str, seed: int
) -> tuple[np.random.Generator, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return the hole's own generator, and at how many places each other document has so many words."""
    rng = np.random.default_rng(list(_digest(f"{use}\0{hole.left}\0{hole.removed}", seed)))
    room = np.array([max(0, len(row) - words + 1) for row in spans])
    room[hole.document] = 0
    if not room.any():
        raise Error(
            f"controls of infilling need {words} words from another document than the hole's; give more held-out text."
        )
    return rng, room


def _cut(texts: Sequence[str], spans: _Spans, document: int, first: int, words: int) -> str:
    row = spans[document]
    return texts[document][row[first][0] : row[first + words - 1][1]]


def _digest(text: str, seed: int) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16, key=str(seed).encode()).digest()
