"""How close are texts to a text? By thoughts, by words, by static embeddings.

    thought   mean cosine of the texts' thoughts and its thought, all read by the network itself
    words     mean |A and B| / |A or B| of their sets of different words (Jaccard)
    topic     mean cosine of static embeddings, which no network of ours was trained on

The first is the network's own opinion of what it wrote: it may see itself agree where no reader would. The other two
know nothing of it.

Letters: N texts, C cells, E channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.embeddings import Embedder
from unmask.evaluation.text import words


@dataclass(frozen=True)
class Closeness:
    """Mean closeness of texts to one text.

    Attributes:
        thought: Cosine of thoughts.
        words: Overlap of word sets.
        topic: Cosine of static embeddings; ``None``: not asked for.
    """

    thought: float
    words: float
    topic: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return the measures by name."""
        return asdict(self)


def closeness(
    texts: Sequence[str],
    thoughts: Float[Tensor, "N C E"],
    end: str,
    thought: Float[Tensor, "C E"],
    embedder: Embedder | None = None,
) -> Closeness:
    """Measure how close texts are to a text.

    Args:
        texts: Texts [N], one or more.
        thoughts: Their thoughts; zeros for a text without any.
        end: The text.
        thought: Its thought.
        embedder: Static embeddings, such as :class:`unmask.data.embeddings.WordLlamaEmbedder`.
    """
    topic = None
    if embedder is not None:
        vectors = embedder.embed([*texts, end]).astype(np.float64)
        topic = float((vectors[:-1] @ vectors[-1]).mean())
    return Closeness(
        thought=float(thought_cosine(thoughts, thought).mean()),
        words=sum(word_overlap(text, end) for text in texts) / len(texts),
        topic=topic,
    )


def thought_cosine(thoughts: Float[Tensor, "*N C E"], thought: Float[Tensor, "C E"]) -> Float[Tensor, "*N"]:
    """Return the cosines of thoughts with a thought; 0 for zeros."""
    return torch.cosine_similarity(thoughts.flatten(-2).double(), thought.flatten().double(), dim=-1)


def word_overlap(one: str, other: str) -> float:
    """Return the share of the two texts' different words that both have; 0 for texts without words."""
    a, b = set(words(one)), set(words(other))
    return len(a & b) / len(a | b) if a or b else 0.0
