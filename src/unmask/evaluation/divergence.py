"""How far a set of generated texts lies from real text: a MAUVE-like area, beside what it says of known texts.

The area (see ``frontier``) is 1 for equal distributions and falls towards 0. With tens of texts it is biased and noisy:
two halves of *real* text do not score 1. So the number of texts is the same everywhere, and beside the value stand

* ``real``: real text against other real text, the upper end;
* ``shuffled words``: real text with the words of each in random order, against other real text;
* ``unigram``: words drawn by their frequency, against the same.

Real text is cut to the generated texts' words, text by text, and split in two at random several times: one part is what
everything is held against, the other makes the controls. The value is the mean over splits. Its standard error comes
from halves of both sets, clusters kept (delete-half jackknife, Shao & Wu 1989, Annals of Statistics 17: the spread of
the halves' values is the standard error of the whole's).

Letters: N texts, D feature width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unmask.errors import Error
from unmask.evaluation.features import TextFeatures
from unmask.evaluation.frontier import frontier_area, quantise, shares
from unmask.evaluation.text import real_like, shuffled_words, unigram_words

FEWEST = 8
_HALVES = 16


@dataclass(frozen=True)
class Area:
    """An area under the frontier.

    Attributes:
        value: In (0, 1]; 1 for equal distributions.
        error: Standard error: which texts happened to be generated, and which real ones held against them.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Divergence:
    """Generated against real text.

    Attributes:
        area: Of the generated texts.
        features: What the texts were turned into.
        texts: Texts on either side of each comparison (N).
        splits: Random splits of the real text that areas are averaged over.
        controls: ``real``, ``shuffled words`` and ``unigram``, of as many texts.
    """

    area: Area
    features: str
    texts: int
    splits: int
    controls: dict[str, Area] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the result by name."""
        return asdict(self)


def text_divergence(
    texts: Sequence[str], real: Sequence[str], features: TextFeatures, *, splits: int = 8, seed: int = 0
) -> Divergence:
    """Hold generated text against real text, beside the controls.

    Args:
        texts: Generated texts. The first N = min(all, half of the real documents) are taken.
        real: Real documents, at least as long as the texts; twice as many, or fewer texts are taken.
        features: Of a model that is neither rival, or static embeddings.
        splits: Random splits of the real text.
        seed: Of the splits, the controls and k-means.

    Raises:
        Error: fewer than 8 texts, or fewer than 16 real documents.
    """
    count = min(len(texts), len(real) // 2)
    if count < FEWEST:
        raise Error(
            f"a divergence needs {FEWEST} generated texts and {2 * FEWEST} real documents, not {len(texts)} and "
            f"{len(real)}; ask for more samples and documents."
        )
    chosen = list(texts[:count])
    pieces = real_like([*chosen, *chosen], real)
    written, whole = features(chosen), features(pieces)
    distorted = {
        "shuffled words": features(shuffled_words(pieces, seed)),
        "unigram": features(unigram_words(pieces, seed)),
    }
    rng = np.random.default_rng(seed)
    found: dict[str, list[Area]] = {}
    for _ in range(splits):
        order = torch.from_numpy(rng.permutation(2 * count))
        base, rest = order[:count], order[count:]
        sides = {"generated": written, "real": whole[rest], **{k: v[rest] for k, v in distorted.items()}}
        for name, side in sides.items():
            found.setdefault(name, []).append(_area(side, whole[base], seed, rng))
    areas = {
        name: Area(float(np.mean([a.value for a in row])), float(np.sqrt(np.mean([a.error**2 for a in row]))))
        for name, row in found.items()
    }
    return Divergence(areas.pop("generated"), features.name, count, splits, areas)


def _area(p: Float[Tensor, "N D"], q: Float[Tensor, "N D"], seed: int, rng: np.random.Generator) -> Area:
    one, other = quantise(p, q, seed=seed)
    half = len(one) // 2
    halves = [
        frontier_area(*shares(rng.permutation(one)[:half], rng.permutation(other)[:half])) for _ in range(_HALVES)
    ]
    return Area(frontier_area(*shares(one, other)), float(np.std(halves)))
