"""Documents of a source as embedded texts on disk: read once, cut into pieces, embedded in batches, spilled.

A document that occurs again (but for white space at its ends) is left out, as in a corpus; so is an empty one, and one
whose texts are all in an index that it is added to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, tee
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float32, UInt64

from unmask.data.corpus import documents, load_corpus
from unmask.data.origin import Document, in_rows
from unmask.data.sources import open_source
from unmask.errors import Error
from unmask.progress import Counter, Tell
from unmask.roots.building.arrivals import Spill
from unmask.roots.building.pieces import pieces
from unmask.roots.embed.embedders import Reader, make_embedder, read_texts
from unmask.roots.shelves.segment import bare, digest
from unmask.roots.shelves.vectors import Vectors, keep
from unmask.workers import HERE, Workers

Split = Literal["all", "train", "valid", "judge"]
_BATCH = 2048  # texts embedded at once
_BYTES = 4 << 20  # ... and their size


@dataclass
class Taken:
    """What came in.

    Attributes:
        documents: Documents that were kept.
        repeated: Documents left out because they had come before.
        texts: Texts that were added to an index.
        fingerprint: 16 hex digits over all texts, in any order.
    """

    documents: int = 0
    repeated: int = 0
    texts: int = 0
    fingerprint: str = "0" * 16


@dataclass(frozen=True)
class Embed:
    """Texts to vectors as they will be kept, with their prominences.

    Attributes:
        reader: The embedder; to another process it travels by its name.
        storage: How vectors are kept.
    """

    reader: Reader
    storage: str

    def __call__(self, texts: list[bytes]) -> tuple[Vectors, Float32[np.ndarray, " n"]]:
        """Return vectors and prominences."""
        reading = read_texts(self.reader, [text.decode() for text in texts])
        return keep(reading.vectors, self.storage), reading.prominence

    def __reduce__(self) -> tuple[Callable[[str, str], Embed], tuple[str, str]]:
        """Travel by name."""
        return _embed, (self.reader.name, self.storage)


@lru_cache(maxsize=1)
def _embed(name: str, storage: str) -> Embed:
    return Embed(make_embedder(name), storage)


def open_documents(
    source: str,
    split: str,
    text_field: str = "text",
    part: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Document]:
    """Yield the documents of a source, or of one split of it as ``unmask train`` splits it.

    Args:
        source: The source.
        split: ``all``, or a split.
        text_field: Field that holds the text.
        part: ``I/N``: the I-th of N parts, from 1. Where a document belongs depends on nothing but its text, so equal
            documents are in the same part. ``None``: all.
        say: Called with a line on each kind of file that is left out.

    Raises:
        Error: unusable source, or no such split or part.
    """
    given = _open(source, split, text_field, say)
    if part is None:
        return given
    number, slash, count = part.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise Error(f"part is {part!r}; give the number of a part and how many there are, such as 1/4.")
    return (one for one in given if digest(one.text.encode()) % int(count) == int(number) - 1)


def _open(source: str, split: str, text_field: str, say: Callable[[str], None]) -> Iterator[Document]:
    if split not in get_args(Split):
        raise Error(f"split is {split!r}; choose {', '.join(get_args(Split))}.")
    opened = open_source(source, text_field)
    for note in opened.notes:
        say(f"note: {note}")
    if split == "all":
        return opened.located()
    return _found_again(documents(load_corpus(source, text_field=text_field).split(split)), opened.located())


def _found_again(texts: Iterable[str], located: Iterator[Document]) -> Iterator[Document]:
    """Yield the texts of a split with their places: they stand in the source in the same order."""
    for text in texts:
        yield next((one for one in located if one.text == text), Document(text))


def take(
    given: Iterable[Document | str],
    reader: Reader,
    spill: Spill,
    *,
    passage: int,
    max_texts: int | None,
    storage: str,
    known: UInt64[np.ndarray, " n"] | None = None,
    progress: Tell = lambda told: None,
    workers: Workers = HERE,
) -> Taken:
    """Embed documents and spill them.

    Args:
        given: Documents, with their places where these are known.
        reader: The embedder.
        spill: Where to.
        passage: Bytes of a text at most; 0: whole documents.
        max_texts: Stop at so many texts; ``None``: at the end.
        storage: How vectors are kept.
        known: Digests of texts that are there already, sorted.
        progress: Called with how many texts have been read and embedded.
        workers: Who embeds.
    """
    found = Taken()
    total = 0
    counter = Counter("embedding", progress, unit="texts", what=reader.name, place=(1, 2))
    batches, ahead = tee(_batches(islice(_pieces(given, passage, known, found), max_texts)))
    embedded = workers.map(Embed(reader, storage), ([one.text for one in batch] for batch in ahead))
    for (vectors, prominence), batch in zip(embedded, batches, strict=True):
        documents, places, texts, sources, lines = map(list, zip(*batch, strict=True))
        digests = spill.add(vectors, prominence, documents, places, texts, sources, lines)
        total += int(digests.sum(dtype=np.uint64))
        found.documents = documents[-1] + 1
        counter(spill.count, max_texts)
    found.fingerprint = f"{total & ((1 << 64) - 1):016x}"
    return found


class _Piece(NamedTuple):
    document: int
    place: int
    text: bytes
    source: str
    line: int


def _pieces(
    given: Iterable[Document | str], passage: int, known: UInt64[np.ndarray, " n"] | None, found: Taken
) -> Iterator[_Piece]:
    """Yield the pieces of documents, or of texts from nowhere; a document that is left out has no number."""
    seen: set[bytes] = set()
    number = 0
    for one in given:
        document, source, line = Document(one) if isinstance(one, str) else one
        moves = bool(line) and not in_rows(source)
        whole = document.encode()
        stripped = bare(whole)
        if not stripped:
            continue
        mark = hashlib.blake2b(stripped, digest_size=16).digest()
        texts = list(pieces(whole, passage))
        if mark in seen or (
            known is not None and bool(present(known, np.array([*map(digest, texts)], np.uint64)).all())
        ):
            found.repeated += 1
            continue
        seen.add(mark)
        for place, text in enumerate(texts):
            yield _Piece(number, place, text, source, line)
            line += text.count(b"\n") * moves
        number += 1


def present(known: UInt64[np.ndarray, " n"], digests: UInt64[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    """Return which digests are among the known, sorted ones."""
    if not len(known):
        return np.zeros(len(digests), bool)
    place = np.minimum(np.searchsorted(known, digests), len(known) - 1)
    found: Bool[np.ndarray, " m"] = known[place] == digests
    return found


def _batches(texts: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    held: list[_Piece] = []
    size = 0
    for one in texts:
        held.append(one)
        size += len(one.text)
        if len(held) >= _BATCH or size >= _BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held
