"""Evidence: what an index holds for the beginning of a text, the text itself and all but its copies left out.

    evidence(query) = the M texts with the greatest cosine to the query, of those that are not the text's own

The ranking reads the query alone, and texts whose cosine with it exceeds :data:`~unmask.roots.search.near.CLOSE` are
left out. The whole text serves only to know its own documents: those with an equal piece, and its copies
(:mod:`unmask.roots.search.copies`). So the index answers as if it had never held the text; and of a text that it does
not hold, what lies behind the query changes nothing. Nearness of the whole text's vector would be no such test: it
would take away what is most like the hidden words, and so tell of them.

Letters: N texts of the index, Q queries, M texts that are found, E width of the vectors.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from unmask.data.cache import built, cache_folder
from unmask.errors import Error
from unmask.roots.building.pieces import pieces
from unmask.roots.embed.embedders import Reader, read_texts
from unmask.roots.index import Index, open_index
from unmask.roots.search.budget import SHARE, WHOLE, Budget
from unmask.roots.search.copies import Copies
from unmask.roots.search.near import CLOSE, Own, own
from unmask.roots.search.search import search
from unmask.training.evidence_table import Found
from unmask.training.sections import EvidenceSection

_AT_ONCE = 256  # documents that are read together
FORMAT = 1


def find_evidence(wanted: EvidenceSection, queries: Sequence[str], documents: Iterable[str], key: str) -> Found:
    """Return what documents' beginnings find, kept in the cache: a :class:`unmask.training.evidence_table.Finder`.

    Args:
        wanted: The recipe's section.
        queries: One a document; an empty one finds nothing.
        documents: The documents.
        key: Names documents and queries.

    Raises:
        Error: no index, an empty one, or an embedder that is not its own.
    """
    index = open_index(wanted.index)
    check_filled(index)
    told = {
        "index": index.manifest.fingerprint,
        "embedder": index.manifest.embedder,
        "width": index.manifest.width,
        "texts": wanted.texts,
        "query": wanted.query,
    }
    identity = [FORMAT, told, index.manifest.storage, index.manifest.passage, len(index), key]
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]

    def build(folder: Path) -> None:
        count, most = len(queries), min(wanted.texts, len(index))
        members = np.full((count, most), -1, np.int64)
        scores = np.full((count, most), -np.inf, np.float32)
        vectors = np.zeros((count, most, index.manifest.width), np.float16)
        reader, copies = index.reader(), Copies(index)
        pairs = enumerate(zip(queries, documents, strict=True))
        while group := list(islice(pairs, _AT_ONCE)):
            asked = [(place, query, text) for place, (query, text) in group if query.strip()]
            if not asked:
                continue
            rows = [place for place, _, _ in asked]
            owns = own_documents(index, copies, [text for _, _, text in asked])
            members[rows], scores[rows] = look_up(index, reader, [query for _, query, _ in asked], most, owns)
            vectors[rows] = vectors_of(index, members[rows])
        for part, array in (("members", members), ("scores", scores), ("vectors", vectors)):
            np.save(folder / f"{part}.npy", array)

    folder = built(cache_folder() / "evidence" / name, build)
    members, scores, vectors = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("members", "scores", "vectors"))
    return Found(vectors, members, scores, told)


def check_filled(index: Index) -> None:
    """Refuse an index without texts.

    Raises:
        Error: it has none.
    """
    if not len(index):
        raise Error(f"the index {index.path} holds no text; build one with: unmask index build SOURCE --output DIR")


def look_up(
    index: Index, reader: Reader, queries: Sequence[str], texts: int, owns: Sequence[Own]
) -> tuple[Int64[np.ndarray, "Q M"], Float32[np.ndarray, "Q M"]]:
    """Return the numbers of the texts nearest to each query, best first (-1: there are fewer), and their cosines.

    Args:
        index: The index.
        reader: Its embedder.
        queries: Texts; one that the embedder knows no token of finds nothing.
        texts: How many to find (M), at most as many as the index holds.
        owns: What each query must not find.
    """
    vectors = read_texts(reader, queries).vectors
    budget = Budget(share=max(SHARE, min(1.0, WHOLE / len(index))))
    found = search(index, vectors, texts, budget, owns=owns)
    known = vectors.any(1, keepdims=True)
    members = np.where(known & np.isfinite(found.scores), found.members, -1)
    return members, np.where(members >= 0, found.scores, -np.inf).astype(np.float32)


def vectors_of(index: Index, members: Int64[np.ndarray, "Q M"]) -> Float32[np.ndarray, "Q M E"]:
    """Return the vectors of texts as the index keeps them; 0 where there is none."""
    found = np.zeros((members.size, index.manifest.width), np.float32)
    flat, base = members.reshape(-1), 0
    for segment in index.segments:
        here = np.flatnonzero((flat >= base) & (flat < base + len(segment)))
        if len(here):
            found[here] = segment.vectors.floats(flat[here] - base)
        base += len(segment)
    return found.reshape(*members.shape, -1)


def own_documents(index: Index, copies: Copies, texts: Sequence[str]) -> list[Own]:
    """Return what each text must not be shown: documents that hold a piece of it or copy it, and what equals its query.

    Args:
        index: The index.
        copies: Of the same index.
        texts: Whole documents.
    """
    owns = []
    for text in texts:
        documents: frozenset[int] = frozenset()
        for raw in forms(text):
            found = [own(index.segments, index.firsts, piece) for piece in pieces(raw, index.manifest.passage)]
            documents = documents.union(copies.of(raw), *(one.documents for one in found))
        owns.append(Own(documents, frozenset(), CLOSE))
    return owns


def forms(text: str) -> list[bytes]:
    """Return the bytes of a text as it is, composed and decomposed: the index may hold what a run has normalised."""
    found = (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text))
    return [form.encode(errors="replace") for form in dict.fromkeys(found)]
