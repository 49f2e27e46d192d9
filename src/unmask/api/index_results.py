"""What the functions over indexes return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unmask.data.origin import spot
from unmask.lines import counted, excerpt, line
from unmask.result import Result


@dataclass(frozen=True, repr=False)
class IndexResult(Result):
    """An index that was built, added to or merged.

    Attributes:
        index: Its folder.
        texts: Texts that it holds.
        documents: Documents that they are pieces of.
        bytes: Of the texts.
        shelves: K.
        added: Texts that are new.
        repeated: Documents left out because they were there already.
        fingerprint: Over all texts, in any order.
        embedder: Name of the embedder.
        seconds: How long it took.
    """

    index: str
    texts: int
    documents: int
    bytes: int
    shelves: int
    added: int
    repeated: int
    fingerprint: str
    embedder: str
    seconds: float

    def _facts(self) -> tuple[str, ...]:
        return (self.index, counted(self.texts, "text"), counted(self.shelves, "shelf", "shelves"))


@dataclass(frozen=True)
class Hit:
    """A text that was found.

    Attributes:
        text: The text.
        id: Its number in the index, until that is merged.
        document: Number of its document.
        shelf: Its shelf.
        score: Cosine with the query; 1 for a substring.
        offset: Byte at which a substring first begins; 0 for a search by meaning.
        count: How often the text has the substring; 1 for a search by meaning.
        source: File that the text was read from, as it was named then, or name of a data set; ``None``: not known (the
            index was built before that was kept).
        line: Line at which the text begins, its line in a .jsonl, or its row in a .parquet, from 1; of a substring in a
            text file the line of its first match. ``None``: not known.
        end: Line of a text file at which the text, or the match, ends; else ``None``.
        rerank: What ordered the results, where they were ordered again; greater is better.
        term: What was added to the score for that, as it is: bits a byte of the query given the text, nats a byte of
            the text, or its BM25 (:mod:`unmask.roots.rerank.rerank`).
    """

    text: str
    id: int
    document: int
    shelf: int
    score: float
    offset: int = 0
    count: int = 1
    source: str | None = None
    line: int | None = None
    end: int | None = None
    rerank: float | None = None
    term: float | None = None

    @property
    def where(self) -> str:
        """Where the text stands: ``notes.md:10-14``, ``a.jsonl:3``, ``a.parquet#row 12``; else its document."""
        if self.source is None:
            return f"document {self.document}"
        return spot(self.source, self.line, self.end)

    def __repr__(self) -> str:
        return line("Hit", f"{self.score:.3f}", self.where, repr(excerpt(self.text, 80)))


@dataclass(frozen=True, repr=False)
class SearchResult(Result):
    """What a search found and what it read.

    Attributes:
        index: The index's folder.
        query: The query.
        router: Who chose the shelves.
        results: Texts, best first.
        opened: Shelves that were read, in whole or in part.
        opened_shelves: How many.
        shelves: K.
        texts_read: Texts whose vectors were read.
        texts: N.
        bytes_read: Bytes of these vectors.
        certified: Whether no text with a better ``score`` is left unread; with ``rerank``, than the worst candidate's.
        k: How many were asked for.
        note: Why there are fewer results than that; ``None``: there are not.
        rerank: What the candidates were ordered by again; ``None``: nothing.
        candidates: How many there were; ``None``: they were not ordered again.
    """

    index: str
    query: str
    router: str
    results: list[Hit]
    opened: list[int]
    opened_shelves: int
    shelves: int
    texts_read: int
    texts: int
    bytes_read: int
    certified: bool
    k: int
    note: str | None = None
    rerank: str | None = None
    candidates: int | None = None

    def _facts(self) -> tuple[str, ...]:
        read = f"{self.opened_shelves} of {counted(self.shelves, 'shelf', 'shelves')} read"
        return (f"{counted(len(self.results), 'text')} for {excerpt(self.query)!r}", read)


@dataclass(frozen=True, repr=False)
class GrepResult(Result):
    """What a substring search found and what it read.

    Attributes:
        index: The index's folder.
        pattern: The pattern.
        results: The first texts with it.
        matches: How many texts have it.
        opened_shelves: Shelves that were read.
        shelves: K.
        texts: N.
        bytes_read: Bytes of text on the shelves that were read.
        bytes: Of all texts.
    """

    index: str
    pattern: str
    results: list[Hit]
    matches: int
    opened_shelves: int
    shelves: int
    texts: int
    bytes_read: int
    bytes: int

    def _facts(self) -> tuple[str, ...]:
        return (f"{excerpt(self.pattern)!r} in {counted(self.matches, 'text')} of {self.texts:,}",)


@dataclass(frozen=True, repr=False)
class IndexStatsResult(Result):
    """What an index holds and what it costs; see :mod:`unmask.roots.search.costs`.

    Attributes:
        index: The index's folder.
        holds: Texts, documents, shelves and what they were made with.
        resident: Bytes of the core, by part, and how they compare with the vectors.
        query: What a default search reads.
        elsewhere: What must lie on a disk to answer at all.
        grep: Bytes of the signs that substring search asks, and of the texts it reads.
    """

    index: str
    holds: dict[str, Any]
    resident: dict[str, Any]
    query: dict[str, Any]
    elsewhere: dict[str, Any]
    grep: dict[str, Any]

    def _facts(self) -> tuple[str, ...]:
        return (self.index, *(f"{key} {value}" for key, value in self.holds.items()))
