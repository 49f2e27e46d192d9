"""How ``unmask index`` prints: one line for a change, columns for rows, a line around a match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unmask.cli.console import note, print_json, say
from unmask.lines import counted

if TYPE_CHECKING:
    from unmask.api.index_results import SearchResult

_TERMS = {
    "surprisal": "bits of the query given the text",
    "energy": "the text's byte-aware energy",
    "bm25": "BM25",
}


def print_change(told: Mapping[str, Any], json: bool) -> None:
    """Print what became of an index: one line, or JSON."""
    if json:
        print_json(told)
        return
    say(
        f"{told['index']}  {counted(told['texts'], 'text')} of {counted(told['documents'], 'document')} "
        f"({told['added']:,} new, "
        f"{told['repeated']:,} repeated)  {counted(told['shelves'], 'shelf', 'shelves')}  "
        f"{counted(told['bytes'], 'byte')}  {told['fingerprint']}"
    )


def print_found(found: SearchResult) -> None:
    """Print what a search found, a line a text, and how."""
    for place, hit in enumerate(found.results, 1):
        again = "" if hit.rerank is None else f"{hit.rerank:+.3f}  "
        say(f"{place:>3}  {again}{hit.score:.3f}  {hit.where}  {short(hit.text)}")
    better = "nearer" if found.rerank else "better"
    note(
        f"opened {found.opened_shelves} of {counted(found.shelves, 'shelf', 'shelves')}, {found.texts_read:,} "
        f"of {counted(found.texts, 'text')}, "
        f"{counted(found.bytes_read, 'byte')} of vectors; "
        + (f"certified: nothing {better} is left." if found.certified else f"a {better} one may be left.")
    )
    if found.rerank:
        count = counted(found.candidates or 0, "candidate")
        note(f"{count} in a new order, by the first number: cosine (the second) and {_TERMS[found.rerank]}.")
    if found.note:
        note(found.note)


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of equal keys as columns."""
    if rows:
        say("  ".join(f"{name.replace('_', ' '):>14}" for name in rows[0]))
        for row in rows:
            say("  ".join(f"{cell(value):>14}" for value in row.values()))


def cell(value: object) -> str:
    """Return a number or word as the reader likes it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def short(text: str, most: int = 100) -> str:
    """Return a text as one line of limited length."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def around(text: str, offset: int, pattern: str) -> str:
    """Return a line of a text around the match at a byte offset."""
    at = len(text.encode()[:offset].decode(errors="ignore"))
    start = max(0, at - 40)
    return ("..." if start else "") + short(text[start:], 80 + len(pattern))
