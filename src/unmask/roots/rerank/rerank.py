"""Candidates of a search in a new order: how near they are in meaning, and what their bytes or words say.

    rerank(q, d) = z(cos(q, d)) + z(term(q, d))        z: less the mean, over the spread, of the candidates of q

    surprisal   - bits a byte of the query given the candidate's byte n-grams, on top of an n-gram model of other texts
    bm25        the query's words in the candidate (Robertson & Zaragoza 2009), with the candidates as the collection
    energy      - the byte-aware energy of the candidate alone: usual, coherent text first, whatever the query

The two have equal weight, so nothing is chosen and no query with a known answer is needed. docs/studies/rerank.md says
what each is worth. What a byte model and an energy learn from is a sample of the index's own texts, a megabyte of them;
the model never counts the candidates, whose own bytes it would know already.

Letters: K candidates.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from unmask.data.ngram import SYMBOLS, ByteNgram
from unmask.errors import Error
from unmask.evaluation.text import words
from unmask.roots.index import Index

_ORDER = 5  # of the byte model
_SAMPLE = 1 << 20  # bytes of the index's texts that are learned from
_PART = 1 << 12  # bytes of a text that its energy reads
_SATURATION, _LENGTH = 1.5, 0.75  # BM25's k1 and b


class Reranked(NamedTuple):
    """Candidates in their new order.

    Attributes:
        order: Their places in the old one, best first; equal ones stay as they were.
        score: What ordered them, in the old order.
        term: What was added to the cosine for it, in the old order and its own unit.
    """

    order: Int64[np.ndarray, " K"]
    score: Float64[np.ndarray, " K"]
    term: Float64[np.ndarray, " K"]


def rerank(
    index: Index, query: str, members: Int64[np.ndarray, " K"], cosine: Float64[np.ndarray, " K"], name: str
) -> Reranked:
    """Return candidates in a new order.

    Args:
        index: Where they were found.
        query: Words.
        members: Numbers of the candidates in the index, best first.
        cosine: Of each.
        name: One of :data:`~unmask.roots.search.budget.RERANKS`.

    Raises:
        Error: no word in the query (bm25), or too little text to learn from (energy).
    """
    texts = [_text(index, member) for member in members.tolist()]
    if name == "bm25":
        term = good = bm25(query, [text.decode(errors="replace") for text in texts])
    elif name == "surprisal":
        term = surprisal(query.encode(), texts, sample(index, members))
        good = -term
    else:
        term = _energy(index, members, texts)
        good = -term
    score = _units(cosine) + _units(good)
    return Reranked(np.argsort(-score, kind="stable"), score, term)


def surprisal(query: bytes, texts: Sequence[bytes], others: Sequence[bytes]) -> Float64[np.ndarray, " K"]:
    """Return the bits a byte of a query given each text (:meth:`ByteContext.given`).

    Args:
        query: Its first four bytes are the model's alone.
        texts: The candidates.
        others: What the model counts; nothing: it knows no byte from another.
    """
    from unmask.roots.rerank.byte_context import ORDER, counted, pack

    model = ByteNgram(_ORDER).fit(others).nats(query)[:-1] if others else np.full(len(query), math.log(SYMBOLS))
    grams = pack(query, ORDER)
    return np.array([counted(text).given_known(grams, model).mean() for text in texts]) / math.log(2)


def bm25(query: str, texts: Sequence[str]) -> Float64[np.ndarray, " K"]:
    """Return BM25 of each text, with Lucene's idf over these texts.

    Raises:
        Error: the query has no word.
    """
    asked = _words(query)
    if not asked:
        raise Error(f"bm25 looks for words, and the query {query!r} has none; use rerank surprisal.")
    counts = [Counter(_words(text)) for text in texts]
    sizes = np.array([count.total() for count in counts])
    least = _SATURATION * (1 - _LENGTH + _LENGTH * sizes / max(sizes.mean(), 1e-12)) if len(sizes) else sizes
    found = np.zeros(len(texts))
    for word in asked:
        often = np.array([count[word] for count in counts])
        rare = math.log(1 + (len(texts) - (often > 0).sum() + 0.5) / ((often > 0).sum() + 0.5))
        found += rare * often / (often + least)
    return found


def sample(index: Index, without: Int64[np.ndarray, " K"] | Sequence[int] = ()) -> list[bytes]:
    """Return about a megabyte of an index's texts, evenly from all its shelves, but for some."""
    left_out = set(np.asarray(without).tolist())
    step = max(1, -(-sum(int(segment.offsets[-1]) for segment in index.segments) // _SAMPLE))
    return [_text(index, member)[:_SAMPLE] for member in range(0, len(index), step) if member not in left_out]


def _energy(index: Index, members: Int64[np.ndarray, " K"], texts: Sequence[bytes]) -> Float64[np.ndarray, " K"]:
    from unmask.roots.rerank.byte_energy import ByteAwareEnergy
    from unmask.roots.rerank.learned import learned

    others = sample(index, members)
    if not others:
        raise Error(f"all texts of {index.path} are candidates, and none is left to learn from; use another rerank.")
    parts = learned([text[:_PART] for text in sample(index)])
    return ByteAwareEnergy(ByteNgram(_ORDER).fit(others), *parts)([text[:_PART] for text in texts])


def _text(index: Index, member: int) -> bytes:
    number, row = index.place(member)
    return index.segments[number].text(row)


def _words(text: str) -> list[str]:
    return [word for word in words(text) if any(map(str.isalnum, word))]


def _units(values: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
    """Return z; zeros where all are equal."""
    spread = values.std() if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros(len(values))
