"""Contexts of bytes that a model measured: of one text, and of the texts of two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unmask.data.ngram_entropy import NgramEntropy
from unmask.errors import Error
from unmask.roots.rerank.byte_context import ORDER, ByteContext, counted


def byte_context(text: bytes, source: NgramEntropy, *, order: int = ORDER) -> ByteContext:
    """Return the context of one text.

    Args:
        text: Any bytes.
        source: The byte model, and its entropies.
        order: n.

    Raises:
        Error: an order outside 2..8, or entropies that are not of bytes.
    """
    if source.unit != "byte":
        raise Error("a byte context needs entropies of bytes; make NgramEntropy with unit 'byte'.")
    nats, entropy = float(source.model.nats(text)[:-1].sum()), float(source.entropy(text).sum())
    return replace(counted(text, order), nats=nats, entropy=entropy)


def merge(a: ByteContext, b: ByteContext) -> ByteContext:
    """Return the context of the texts of both; they must have been measured by the same model.

    Raises:
        Error: their n-grams have other lengths.
    """
    if a.order != b.order:
        raise Error(f"contexts of {a.order}-grams and {b.order}-grams cannot be merged; measure both with one order.")
    grams, place = np.unique(np.concatenate([a.grams, b.grams]), return_inverse=True)
    counts = np.zeros(len(grams), np.int64)
    np.add.at(counts, place, np.concatenate([a.counts, b.counts]))
    return ByteContext(
        a.order,
        a.texts + b.texts,
        a.histogram + b.histogram,
        grams,
        counts,
        a.nats + b.nats,
        a.entropy + b.entropy,
    )
