"""Where a document was read: in which file, from which line or row, and how that is written for people."""

from __future__ import annotations

from typing import NamedTuple

_ROWS = (".jsonl", ".jsonl.gz", ".parquet")


class Document(NamedTuple):
    """A document and where it came from.

    Attributes:
        text: The document.
        source: File as it was named, or name of a data set; empty: not known.
        line: Line of a text at which it begins, or its line or row in a file of one a row, from 1; 0: not known.
    """

    text: str
    source: str = ""
    line: int = 0


def in_rows(source: str) -> bool:
    """Return whether a source has one document a line or row, so that a document's own lines are none of the file's."""
    return source.startswith("hf:") or source.lower().endswith(_ROWS)


def lines_of(line: int, text: str) -> tuple[int, int]:
    """Return the first and the last line of a text that begins at a line; blank ones at its ends are not counted."""
    first = line + text[: len(text) - len(text.lstrip())].count("\n")
    return first, first + text.strip().count("\n")


def spot(source: str, line: int | None, end: int | None) -> str:
    """Return where a text stands: ``notes.md:10-14``, ``a.jsonl:3``, ``a.parquet#row 12``."""
    if line is None:
        return source
    if in_rows(source) and ".jsonl" not in source.lower()[-9:]:
        return f"{source}#row {line}"
    return f"{source}:{line}" if end in (None, line) else f"{source}:{line}-{end}"
