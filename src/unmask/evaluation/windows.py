"""Documents cut into windows of a common length in bytes: the same pieces for every rival, whatever its tokenizer.

A window never cuts a UTF-8 code point, so it may be up to 3 bytes shorter than asked. It is scored as BOS, its tokens,
and EOS if its document ends there; a context of T tokens therefore holds BOS and T - 1 more. Binary documents (see
:mod:`unmask.data.binary`) are cut every so many bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from unmask.data.binary import raw
from unmask.errors import Error

_GRID = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4)


class Encoder(Protocol):
    """What the windows need of a tokenizer: it is lossless and adds no special tokens by itself."""

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        ...


@dataclass(frozen=True)
class Window:
    """A piece of a document.

    Attributes:
        text: The piece.
        bytes: Its length in bytes; of text, in UTF-8.
        document: Number of the document, from 0.
        last: Whether the document ends here, so that end-of-text is scored too.
    """

    text: str
    bytes: int
    document: int
    last: bool


def reads_bytes(tokenizer: Encoder) -> bool:
    """Return whether a tokenizer's texts are bytes, a character each."""
    return bool(getattr(tokenizer, "binary", False))


def cut(text: str, window: int, binary: bool = False) -> list[str]:
    """Cut a text into pieces of ``window`` UTF-8 bytes, or up to 3 fewer where a code point would be cut.

    An empty text is one empty piece.

    Args:
        text: A document.
        window: Bytes of a piece.
        binary: The document is bytes, a character each: pieces have exactly ``window``.

    Raises:
        Error: a window under 4 bytes, which a code point may not fit.
    """
    if window < 4:
        raise Error(f"a window of {window} bytes may cut a character in two; use at least 4.")
    if binary:
        return [text[start : start + window] for start in range(0, len(text), window)] or [""]
    data = text.encode()
    pieces, start = [], 0
    while start < len(data):
        end = min(start + window, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[start:end].decode())
        start = end
    return pieces or [""]


def cut_all(texts: Iterable[str], window: int, binary: bool = False) -> list[Window]:
    """Cut documents into windows, in order; see :func:`cut`."""
    windows = []
    for document, text in enumerate(texts):
        pieces = cut(text, window, binary)
        for place, piece in enumerate(pieces, start=1):
            windows.append(Window(piece, len(raw(piece, binary)), document, place == len(pieces)))
    return windows


def common_window(texts: Sequence[str], tokenizers: Sequence[Encoder], contexts: Sequence[int]) -> int:
    """Return the largest window in bytes, of a fixed grid, whose every piece fits the context of every rival.

    The grid holds powers of two, the halves between them, and what just fits a context byte by byte.

    Args:
        texts: The documents that will be scored.
        tokenizers: One tokenizer a rival.
        contexts: One context length in tokens a rival, BOS included.

    Raises:
        Error: no window of the grid fits, which names the rival's context.
    """
    if not contexts or len(tokenizers) != len(contexts):
        raise ValueError("one tokenizer and one context a rival")
    rivals = sorted(zip(contexts, tokenizers, strict=True), key=lambda rival: rival[0])  # the tightest refuses first
    grid = sorted({*_GRID, *(context - 2 for context in contexts)}, reverse=True)
    for window in grid:
        if window >= 4 and all(_fits(texts, tokenizer, context, window) for context, tokenizer in rivals):
            return window
    raise Error(
        f"no window of 4 bytes or more fits a context of {min(contexts)} tokens; use a model with a longer context."
    )


def _fits(texts: Sequence[str], tokenizer: Encoder, context: int, window: int) -> bool:
    for start in range(0, len(texts), 16):
        windows = cut_all(texts[start : start + 16], window, reads_bytes(tokenizer))
        encoded = tokenizer.encode_batch([w.text for w in windows])
        if any(1 + len(ids) + w.last > context for w, ids in zip(windows, encoded, strict=True)):
            return False
    return True
