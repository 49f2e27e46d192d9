"""Files to documents: .txt, .jsonl, .jsonl.gz, .parquet and .npy, and any other text, read as streams.

A ``.jsonl``, ``.jsonl.gz`` or ``.parquet`` file has one document a line or row, in its text field. A ``.txt``, any
other file of UTF-8, or a ``.npy`` of its bytes (1-D uint8) is one document up to ``LONG`` characters; a longer one is
cut at paragraph borders (else at line ends, else at spaces) into passages of about ``PASSAGE`` characters, so that it
can be split by document. Read as binary, any file is bytes (see :mod:`unmask.data.binary`), and a longer one is cut
every ``PASSAGE`` bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from zipfile import BadZipFile

from unmask.data import binary
from unmask.data.kinds import HEAD, check_head
from unmask.data.rows import json_lines, parquet
from unmask.errors import Error

SUFFIXES = (".txt", ".jsonl", ".jsonl.gz", ".parquet", ".npy")
TEXTS = tuple(
    f".{suffix}"
    for suffix in (
        "md markdown rst tex bib org adoc asciidoc wiki srt html htm css "
        "py pyi js mjs ts jsx tsx c h cc cpp cxx hpp hh cu java kt scala go rs rb php pl pm lua r jl swift cs fs hs ml "
        "clj ex exs erl lisp el scm sh bash zsh fish ps1 bat sql m f90 f zig nim dart vim mk cmake toml ini cfg"
    ).split()
)
"""Files of notes, papers and code, which are text by themselves."""
_TABLES = (".json", ".ipynb", ".csv", ".tsv", ".xlsx", ".docx", ".pdf", ".epub")
"""What holds text, but is none by itself."""
LONG = 16_384
PASSAGE = 4_096
_CHUNK = 1 << 20
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*")


def file_format(path: Path) -> str | None:
    """Return the suffix in ``SUFFIXES`` that ``path`` ends with, or None."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)


def is_text(path: Path) -> bool:
    """Return whether a file's name says that it is text by itself: notes, papers, code."""
    return path.suffix.lower() in TEXTS


def check_readable(path: Path) -> None:
    """Raise Error for a kind of file that holds text, but is none by itself; others are seen when read."""
    if path.suffix.lower() in _TABLES:
        raise Error(
            f"{path} is no plain text. Use one of {', '.join(SUFFIXES)}: take its text out, or write one object "
            'a line: {"text": "..."}.'
        )


def read_documents(path: Path, text_field: str = "text") -> Iterator[str]:
    """Yield the documents of one file, in its order.

    Args:
        path: A file with one of ``SUFFIXES``, or any other file of UTF-8 text.
        text_field: The field or column that holds the text, for .jsonl and .parquet.

    Raises:
        Error: as :func:`read_located`.
    """
    return (text for text, _ in read_located(path, text_field))


def read_located(path: Path, text_field: str = "text", chat: bool = False) -> Iterator[tuple[str, int]]:
    """Yield the documents of one file, each with the line or row at which it begins, from 1.

    Args:
        path: A file with one of ``SUFFIXES``, or any other file of UTF-8 text.
        text_field: The field or column that holds the text, for .jsonl and .parquet.
        chat: Lines are talks (see :mod:`unmask.data.talks`), of .jsonl alone.

    Raises:
        Error: missing, empty, binary, damaged or non-UTF-8 file, a bad line, or no such field; the file is named.
    """
    form = file_format(path)
    if not path.is_file():
        raise Error(f"{path} is neither a file nor a folder." if path.exists() else f"no file {path}. Check the path.")
    check_readable(path)
    if chat and form not in (".jsonl", ".jsonl.gz"):
        raise Error(f"{path} is no .jsonl file, and data.format=chat reads talks, one a line.")
    try:
        refuse_empty(path)
        if form == ".parquet":
            yield from parquet(path, text_field)
        elif form in (".jsonl", ".jsonl.gz"):
            yield from json_lines(path, form, text_field, chat)
        else:
            yield from _passages(read_raw(path))
    except PermissionError as error:
        raise Error(f"{path} may not be read (permission denied). Change its permissions.") from error


def refuse_empty(path: Path, what: str = "text") -> None:
    """Raise Error if a file holds nothing."""
    if path.stat().st_size == 0:
        raise Error(f"{path} is empty. Give a file with {what} in it.")


def read_binary(path: Path) -> Iterator[str]:
    """Yield the bytes of any file as documents, a character a byte; of a .npy those of its array.

    Raises:
        Error: missing, empty or unreadable file, or a .npy that is no 1-D uint8 array.
    """
    if not path.is_file():
        raise Error(f"no file {path}. Check the path.")
    try:
        refuse_empty(path, "bytes")
        for piece in binary.pieces(read_bytes(path), LONG, PASSAGE):
            yield binary.as_text(piece)
    except PermissionError as error:
        raise Error(f"{path} may not be read (permission denied). Change its permissions.") from error


def read_raw(path: Path) -> Iterator[str]:
    """Yield the text of a .txt or .npy in pieces, unchanged but for a byte order mark.

    Raises:
        Error: as :func:`read_documents`.
    """
    return _decoded(read_bytes(path), path)


def read_bytes(path: Path) -> Iterator[bytes]:
    """Yield the bytes of any file in pieces, as they are; of a .npy, those of its array.

    Raises:
        Error: a .npy that is not a 1-D uint8 array.
    """
    if file_format(path) == ".npy":
        yield from _array_chunks(path)
        return
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _array_chunks(path: Path) -> Iterator[bytes]:
    import numpy as np

    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise Error(f"{path} is no NumPy file ({error}). Save a 1-D uint8 array with numpy.save.") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise Error(f"{path} is an archive of arrays (.npz). Save a 1-D uint8 array with numpy.save.")
    if array.ndim != 1 or array.dtype != np.uint8:
        raise Error(f"{path} holds {array.dtype} of shape {array.shape}. Use a 1-D uint8 array of bytes.")
    if not len(array):
        raise Error(f"{path} holds an empty array. Give one with bytes in it.")
    for start in range(0, len(array), _CHUNK):
        yield array[start : start + _CHUNK].tobytes()


def _decoded(chunks: Iterable[bytes], path: Path) -> Iterator[str]:
    """Decode strictly, dropping a byte order mark at the start."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    seen = 0
    for chunk in chunks:
        if not seen:
            check_head(chunk[:HEAD], path)
        if b"\0" in chunk:
            raise Error(
                f"{path} is binary (a zero byte at offset {seen + chunk.index(0)}). Give a UTF-8 text file. "
                "To model it as bytes: data.binary=true and data.tokenizer=bytes."
            )
        seen += len(chunk)
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise _not_utf8(path, seen - len(error.object) + error.start) from error
        yield text.removeprefix("\ufeff") if seen == len(chunk) else text
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, seen - len(error.object) + error.start) from error


def _not_utf8(path: Path, offset: int) -> Error:
    return Error(
        f"{path} is not UTF-8 (byte offset {offset}). Convert it: iconv -f LATIN1 -t UTF-8 {quote(path.name)}. "
        "If it is no text: data.binary=true."
    )


def _passages(chunks: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield one document, or, beyond ``LONG`` characters, passages of about ``PASSAGE``; each with its first line."""
    held = ""
    long = False
    line = 1
    for chunk in chunks:
        held += chunk
        long = long or len(held) > LONG
        start = 0
        while len(held) - start > LONG:
            end, following = _border(held, start)
            yield held[start:end], line
            line += held.count("\n", start, following)
            start = following
        held = held[start:]
    while long and len(held) > PASSAGE:
        end, following = _border(held, 0)
        yield held[:end], line
        line += held.count("\n", 0, following)
        held = held[following:]
    if held:
        yield held, line


def _border(text: str, start: int) -> tuple[int, int]:
    """Return (end of the passage from ``start``, start of the next one)."""
    limit = min(start + LONG, len(text))
    if paragraph := _PARAGRAPH.search(text, start + PASSAGE, limit):
        return paragraph.start(), paragraph.end()
    if limit == len(text):
        return limit, limit  # the rest of the file is short enough
    for mark in ("\n", " "):
        near = text.find(mark, start + PASSAGE, limit)
        if near >= 0:
            return near, near + 1
    return limit, limit
