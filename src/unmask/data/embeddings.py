"""Texts as vectors without a network: static token embeddings, averaged and scaled to length 1.

A token has the same vector wherever it stands, so word order is invisible: what such vectors see is topic. Vectors of
WordLlama (Miller 2024, github.com/dleemiller/WordLlama: token embeddings of Llama 2, trained by contrast, 32,000 x 256)
come with its wheel. Its tokenizer falls back to bytes outside Latin script, where the vectors say little.

Letters: N texts, E embedding width.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32

from unmask.errors import Error

WIDTHS = (64, 128, 256)


class Embedder(Protocol):
    """Anything that turns texts into vectors.

    Attributes:
        name: How a report calls it.
        width: E.
    """

    name: str
    width: int

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "N E"]:
        """Return a vector of length 1 for each text; zeros for a text without tokens."""
        ...


class WordLlamaEmbedder:
    """The mean of WordLlama's token vectors.

    Attributes:
        name: ``wordllama`` and the width.
        width: E, one of :data:`WIDTHS`: a prefix of the 256 numbers is an embedding too (Kusupati et al. 2022, arXiv
            2205.13147).

    Raises:
        Error: wordllama is not installed, or its files are not where they should be.
    """

    def __init__(self, width: int = 256) -> None:
        if width not in WIDTHS:
            raise Error(f"embeddings of width {width} do not exist; choose {', '.join(map(str, WIDTHS))}.")
        self.name, self.width = f"wordllama-{width}", width
        self._model = _load(width)

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "N E"]:
        """Return a vector of length 1 for each text; zeros for a text without tokens."""
        if not len(texts):
            return np.zeros((0, self.width), np.float32)
        vectors: np.ndarray = np.asarray(self._model.embed(list(texts)), np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


@cache
def _load(width: int) -> Any:
    with _same_logging():
        try:
            import wordllama
        except ImportError as error:
            raise Error(
                "static embeddings (the default of unmask index, and coherence) need wordllama; "
                "install it with: pip install 'unmask[index]'"
            ) from error
        except RuntimeError as error:
            raise Error(f"wordllama cannot be loaded ({error}) Set HOME to a folder.") from error
        try:
            # The files are in the package; without its folder as the cache the tokenizer is looked for elsewhere, and
            # then on the network.
            return wordllama.WordLlama.load(
                cache_dir=Path(wordllama.__file__).parent,
                trunc_dim=width if width != max(WIDTHS) else None,
                disable_download=True,
            )
        except FileNotFoundError as error:
            raise Error(
                f"this version of wordllama lacks its vectors ({error}); "
                "mend it with: pip install --force-reinstall 'unmask[index]'"
            ) from error


@contextmanager
def _same_logging() -> Iterator[None]:
    """Undo what importing wordllama does to the root logger (``logging.basicConfig(level=INFO)``)."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
