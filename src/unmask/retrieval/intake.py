"""Documents of a source as embedded texts on disk: read once, cut into pieces, embedded in batches, spilled.

A document that occurs again (but for white space at its ends) is left out, as in a corpus; so is an empty one, and one
whose texts are all in an index that it is added to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, UInt64

from unmask.data.corpus import documents, load_corpus
from unmask.data.sources import open_source
from unmask.errors import Error
from unmask.retrieval.embedders import Reader, read_texts
from unmask.retrieval.pieces import pieces
from unmask.retrieval.segment import Spill, digest
from unmask.retrieval.vectors import keep

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


def open_documents(source: str, split: str, text_field: str = "text") -> Iterator[str]:
    """Yield the documents of a source, or of one split of it as ``unmask train`` splits it.

    Raises:
        Error: unusable source, or no such split.
    """
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
    """
    found = Taken()
    total = 0
    told = 0
    for batch in _batches(islice(_pieces(given, passage, known, found), max_texts)):
        documents, places, texts = map(list, zip(*batch, strict=True))
        reading = read_texts(reader, [text.decode() for text in texts])
        digests = spill.add(keep(reading.vectors, storage), reading.prominence, documents, places, texts)
        total += int(digests.sum(dtype=np.uint64))
        found.documents = documents[-1] + 1
        if spill.count - told >= 50_000:
            told = spill.count
            say(f"{told:,} texts, {spill.bytes / 1e6:,.0f} MB")
    found.fingerprint = f"{total & ((1 << 64) - 1):016x}"
    return found


def _pieces(
    given: Iterable[str], passage: int, known: UInt64[np.ndarray, " n"] | None, found: Taken
) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number of the document, of the piece, text); a document that is left out has no number."""
    seen: set[bytes] = set()
    number = 0
    for document in given:
        stripped = document.strip()
        if not stripped:
            continue
        mark = hashlib.blake2b(stripped.encode(), digest_size=16).digest()
        texts = list(pieces(document.encode(), passage))
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
