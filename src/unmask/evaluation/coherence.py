"""Does a text stay with its subject? Cosines of static embeddings between consecutive pieces of it.

A text is cut into chunks of 16 words (equal lengths, since a short chunk's vector is noisier and its cosine lower):

    consecutive = mean cosine of a text's chunk and the next one
    across      = mean cosine of the same chunks with a chunk of another text of the set
    gap         = consecutive - across

``consecutive`` alone rewards a generator that repeats itself: a constant text scores 1. So does ``across`` then, and
the gap is 0: texts that stay with *a* subject, each its own, have a gap. Neither sees word order, as the vectors do not
(see ``data.embeddings``): shuffled words score at least as high as the real text, which is printed. Closer to real
text of the same size is better; higher is not.

Letters: N texts, C chunks, E embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.data.embeddings import Embedder
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.text import shuffled_words

Span = tuple[float, float]


@dataclass(frozen=True)
class Coherence:
    """Cosines over a set of texts; ``None`` where there is no pair of chunks, or no other text.

    Attributes:
        consecutive: Mean cosine of neighbouring chunks of a text.
        consecutive_interval: 95 % interval over texts.
        across: Mean cosine with chunks of other texts.
        gap: ``consecutive - across``.
        gap_interval: 95 % interval over texts.
        texts: Texts with at least two chunks.
        pairs: Pairs of neighbouring chunks.
    """

    consecutive: float | None
    consecutive_interval: Span | None
    across: float | None
    gap: float | None
    gap_interval: Span | None
    texts: int
    pairs: int

    def to_dict(self) -> dict[str, Any]:
        """Return the measures by name."""
        return asdict(self)


def chunks(text: str, words: int = 16) -> list[str]:
    """Cut a text into pieces of ``words`` words; a last piece of less than half of that is left out."""
    split = text.split()
    pieces = [split[start : start + words] for start in range(0, len(split), words)]
    return [" ".join(piece) for piece in pieces if 2 * len(piece) >= words]


def coherence(texts: Sequence[str], embedder: Embedder, *, words: int = 16, seed: int = 0) -> Coherence:
    """Measure how alike neighbouring chunks are, beside chunks of other texts.

    Args:
        texts: Texts [N], cut to the size of what they are compared with.
        embedder: Static embeddings, such as :class:`unmask.data.embeddings.WordLlamaEmbedder`.
        words: Words of a chunk.
        seed: Of the choice of other chunks.
    """
    cut = [chunks(text, words) for text in texts]
    owner = np.array([number for number, row in enumerate(cut) for _ in row], dtype=np.int64)
    first = np.flatnonzero(owner[:-1] == owner[1:])
    if not len(first):
        return Coherence(None, None, None, None, None, 0, 0)
    vectors = embedder.embed([chunk for row in cut for chunk in row])
    near = _cosines(vectors[first], vectors[first + 1])
    document = owner[first]
    other = _other(owner, document, seed)
    count, span = len(np.unique(document)), mean_interval(document, len(texts), near)
    if other is None:
        return Coherence(float(near.mean()), span, None, None, None, count, len(first))
    far = _cosines(vectors[first], vectors[other])
    return Coherence(
        consecutive=float(near.mean()),
        consecutive_interval=span,
        across=float(far.mean()),
        gap=float((near - far).mean()),
        gap_interval=mean_interval(document, len(texts), near - far),
        texts=count,
        pairs=len(first),
    )


def coherence_controls(
    real: Sequence[str], embedder: Embedder, *, words: int = 16, seed: int = 0
) -> dict[str, Coherence]:
    """Measure what the numbers mean: real text, its chunks dealt to other documents, and its words shuffled.

    Args:
        real: Real texts of the size of the generated ones.
        embedder: As for :func:`coherence`.
        words: Words of a chunk.
        seed: Of the dealing and shuffling.
    """
    measured = {
        "real text": list(real),
        "chunks of other documents": dealt_chunks(real, words, seed),
        "shuffled words": shuffled_words(real, seed),
    }
    return {name: coherence(texts, embedder, words=words, seed=seed) for name, texts in measured.items()}


def dealt_chunks(texts: Sequence[str], words: int = 16, seed: int = 0) -> list[str]:
    """Return texts of as many chunks each, whose chunks were drawn without replacement from all texts."""
    cut = [chunks(text, words) for text in texts]
    pool = [chunk for row in cut for chunk in row]
    order = iter(np.random.default_rng(seed).permutation(len(pool)))
    return [" ".join(pool[next(order)] for _ in row) for row in cut]


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    return (a.astype(np.float64) * b).sum(1)


def _other(owner: NDArray[np.int64], document: NDArray[np.int64], seed: int) -> NDArray[np.int64] | None:
    """Return a chunk of another text for each pair, uniformly among them; ``None`` if there is no other text."""
    count = len(owner)
    start, end = np.searchsorted(owner, document), np.searchsorted(owner, document, side="right")
    rest = count - (end - start)
    if not rest.all():
        return None
    drawn = np.floor(np.random.default_rng(seed).random(len(document)) * rest).astype(np.int64)
    return np.where(drawn >= start, drawn + (end - start), drawn)
