"""Texts to vectors and prominences, by name: static embeddings, a model from the Hub, or one of our own runs.

    m = mean of the token vectors of a text        vector = m / |m|        prominence = |m|

Prominence is ROOTS's number of a text's weight (docs/origins.md): there the norm of a hidden state, here the length of
the mean, which costs nothing with any embedder and says how far the tokens of a text point the same way (short or
repetitive texts have long means, long mixed ones short means). docs/studies/roots.md measures what it is worth.

Letters: N texts, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float32

from unmask.data.embeddings import WIDTHS, WordLlamaEmbedder
from unmask.errors import Error, nearest

DEFAULT = "wordllama-256"
PROBES = ("The ship left the harbour at dawn.", "def mean(x): return sum(x) / len(x)", "नमस्ते, दुनिया!")
"""Texts whose vectors an index keeps, to tell the embedder that made it from another one."""
_SAME = 0.995  # smallest cosine between a probe's vectors of the same embedder on two machines
_ROWS = 1024


class Reading(NamedTuple):
    """What an embedder says of texts.

    Attributes:
        vectors: Of length 1; zeros for a text without tokens.
        prominence: |m| of each text.
    """

    vectors: Float32[np.ndarray, "N D"]
    prominence: Float32[np.ndarray, " N"]


class Reader(Protocol):
    """Anything that reads texts into vectors.

    Attributes:
        name: What :func:`make_embedder` makes it from.
        width: D.
    """

    name: str
    width: int

    def means(self, texts: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Return the mean token vector of each text; zeros for a text without tokens."""
        ...


class StaticReader:
    """WordLlama's static embeddings.

    Attributes:
        name: ``wordllama`` and the width.
        width: D.
    """

    def __init__(self, width: int) -> None:
        self._embedder = WordLlamaEmbedder(width)
        self.name, self.width = self._embedder.name, width

    def means(self, texts: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Return the mean token vector of each text; zeros for a text without tokens."""
        order = np.argsort([len(text) for text in texts], kind="stable")  # like lengths share a batch: less padding
        found = np.empty((len(texts), self.width), np.float32)
        found[order] = self._embedder._model.embed([texts[place] for place in order])
        return found


def make_embedder(name: str) -> Reader:
    """Return an embedder.

    Args:
        name: ``wordllama-64``, ``-128`` or ``-256``; ``hf:owner/name`` or ``hf:FOLDER``; ``run:DIR``.

    Raises:
        Error: unknown name, or what it names is missing or cannot be loaded.
    """
    kind, _, rest = name.partition(":")
    if kind == "hf" and rest:
        from unmask.roots.embed.hub import HubReader

        return HubReader(rest)
    if kind == "run" and rest:
        from unmask.roots.embed.run import RunReader

        return RunReader(rest)
    static = {f"wordllama-{width}": width for width in WIDTHS}
    if name not in static:
        raise Error(
            f"unknown embedder {name!r}.{nearest(name, [*static, 'hf:owner/name', 'run:DIR'])} "
            f"Use {', '.join(static)}, hf:owner/name or run:DIR."
        )
    return StaticReader(static[name])


def read_texts(reader: Reader, texts: Sequence[str]) -> Reading:
    """Return vectors and prominences of texts.

    Raises:
        Error: the embedder gives what is no number.
    """
    parts = [reader.means(texts[first : first + _ROWS]) for first in range(0, len(texts), _ROWS)]
    means = np.concatenate(parts) if parts else np.zeros((0, reader.width), np.float32)
    if not np.isfinite(means).all():
        raise Error(f"the embedder {reader.name} gives vectors that are no numbers; use another one.")
    prominence = np.linalg.norm(means, axis=1).astype(np.float32)
    return Reading(means / np.maximum(prominence, np.float32(1e-12))[:, None], prominence)


def check_reader(reader: Reader, probes: Float32[np.ndarray, "P D"], index: Path) -> None:
    """Refuse an embedder that is not the one an index was made with.

    Raises:
        Error: another width, or other vectors of :data:`PROBES`.
    """
    if reader.width != probes.shape[1]:
        raise Error(
            f"the embedder {reader.name} gives {reader.width} numbers, the index {index} has {probes.shape[1]}; "
            "search with the embedder that it was built with."
        )
    now = read_texts(reader, PROBES).vectors
    if (now * probes).sum(1)[np.abs(probes).sum(1) > 0].min(initial=1.0) < _SAME:
        raise Error(
            f"the embedder {reader.name} is not the one that the index {index} was built with (its vectors of three "
            "known texts differ). Build the index again."
        )
