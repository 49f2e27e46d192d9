"""Between people's text and what a run of bytes (``data.binary``) reads and writes: see :mod:`unmask.data.binary`."""

from __future__ import annotations

from pathlib import Path

from unmask.data.binary import as_text
from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error


def text_for(given: str | bytes, tokenizer: Tokenizer) -> str:
    """Return a prompt as the run's own text: of a run of bytes a character a byte, that of text in UTF-8.

    Raises:
        Error: bytes that are no text, for a run of text.
    """
    if tokenizer.binary:
        return as_text(given if isinstance(given, bytes) else given.encode())
    if isinstance(given, str):
        return given
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Error(
            f"the prompt is not UTF-8 (byte {error.start}), and this run models text. Give UTF-8, or take a run with "
            "data.binary=true."
        ) from error


def shown(text: str, tokenizer: Tokenizer) -> str:
    """Return a run's text for people: bytes that are not UTF-8 become U+FFFD."""
    return tokenizer.raw(text).decode("utf-8", "replace") if tokenizer.binary else text


def write_bytes(data: bytes, path: Path) -> None:
    """Write a file.

    Raises:
        Error: it cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Error(f"cannot write {path} ({error.strerror}). Name another file in --output.") from error


def read_prompt(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        Error: there is none, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Error(f"cannot read the prompt file {path} ({error.strerror}). Check the path.") from error
