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
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, UInt64

from unmask.data.corpus import documents, load_corpus
from unmask.data.sources import open_source
from unmask.errors import Error
from unmask.lines import counted
from unmask.retrieval.embedders import Reader, make_embedder, read_texts
from unmask.retrieval.pieces import pieces
from unmask.retrieval.segment import Spill, bare, digest
from unmask.retrieval.vectors import Vectors, keep
from unmask.retrieval.workers import HERE, Workers

Split = Literal["all", "train", "valid", "judge"]
_BATCH = 2048  # texts embedded at once
_BYTES = 4 << 20  # ... and their size


@dataclass
class Taken:
    """What came in.

    Attributes:
        documents: Documents that were kept.
        repeated: Documents left out because they had come before.
        fingerprint: 16 hex digits over all texts, in any order.
    """

    documents: int = 0
    repeated: int = 0
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


def open_documents(source: str, split: str, text_field: str = "text", part: str | None = None) -> Iterator[str]:
    """Yield the documents of a source, or of one split of it as ``unmask train`` splits it.

    Args:
        source: The source.
        split: ``all``, or a split.
        text_field: Field that holds the text.
        part: ``I/N``: the I-th of N parts, from 1. Where a document belongs depends on nothing but its text, so equal
            documents are in the same part. ``None``: all.

    Raises:
        Error: unusable source, or no such split or part.
    """
    given = _open(source, split, text_field)
    if part is None:
        return given
    number, slash, count = part.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise Error(f"--part is {part!r}; give the number of a part and how many there are, such as 1/4.")
    return (text for text in given if digest(text.encode()) % int(count) == int(number) - 1)


def _open(source: str, split: str, text_field: str) -> Iterator[str]:
    if split not in get_args(Split):
        raise Error(f"split is {split!r}; choose {', '.join(get_args(Split))}.")
    if split == "all":
        return open_source(source, text_field).documents()
    return documents(load_corpus(source, text_field=text_field).split(split))


def take(
    given: Iterable[str],
    reader: Reader,
    spill: Spill,
    *,
    passage: int,
    max_texts: int | None,
    storage: str,
    known: UInt64[np.ndarray, " n"] | None = None,
    say: Callable[[str], None],
    workers: Workers = HERE,
) -> Taken:
    """Embed documents and spill them.

    Args:
        given: Documents.
        reader: The embedder.
        spill: Where to.
        passage: Bytes of a text at most; 0: whole documents.
        max_texts: Stop at so many texts; ``None``: at the end.
        storage: How vectors are kept.
        known: Digests of texts that are there already, sorted.
        say: Called with a line now and then.
        workers: Who embeds.
    """
    found = Taken()
    total = 0
    told = 0
    batches, ahead = tee(_batches(islice(_pieces(given, passage, known, found), max_texts)))
    embedded = workers.map(Embed(reader, storage), ([text for _, _, text in batch] for batch in ahead))
    for (vectors, prominence), batch in zip(embedded, batches, strict=True):
        documents, places, texts = map(list, zip(*batch, strict=True))
        digests = spill.add(vectors, prominence, documents, places, texts)
        total += int(digests.sum(dtype=np.uint64))
        found.documents = documents[-1] + 1
        if spill.count - told >= 50_000:
            told = spill.count
            say(f"{counted(told, 'text')}, {spill.bytes / 1e6:,.0f} MB")
    found.fingerprint = f"{total & ((1 << 64) - 1):016x}"
    return found


def _pieces(
    given: Iterable[str], passage: int, known: UInt64[np.ndarray, " n"] | None, found: Taken
) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number of the document, of the piece, text); a document that is left out has no number."""
    seen: set[bytes] = set()
    number = 0
    for document in given:
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
            yield number, place, text
        number += 1


def present(known: UInt64[np.ndarray, " n"], digests: UInt64[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    """Return which digests are among the known, sorted ones."""
    if not len(known):
        return np.zeros(len(digests), bool)
    place = np.minimum(np.searchsorted(known, digests), len(known) - 1)
    found: Bool[np.ndarray, " m"] = known[place] == digests
    return found


def _batches(texts: Iterable[tuple[int, int, bytes]]) -> Iterator[list[tuple[int, int, bytes]]]:
    held: list[tuple[int, int, bytes]] = []
    size = 0
    for one in texts:
        held.append(one)
        size += len(one[2])
        if len(held) >= _BATCH or size >= _BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held
