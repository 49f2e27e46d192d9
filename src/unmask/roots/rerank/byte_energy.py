"""The byte-aware energy of a text, term by term.

    E(text) = surprisal + w_f f(text) / T + w_tree incoherence(text)

    surprisal     mean of -ln P(b_t | b_<t): the bytes that came, not the entropy of those that might have (option C)
    f / T         the correction of byte n-grams (options A, linear, and B, MLP)
    incoherence   how far apart the codes of neighbours in the tree of the text are

The first two are nats a byte, so that long texts are not punished; with w_f = 1 their sum is that of the residual
energy. The third is a squared length of codes. The original ROOTS left all of this as a sketch (``ByteAwareEBM``).

Letters: S texts, T bytes of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from unmask.data.ngram import ByteModel
from unmask.roots.rerank.correction import Correction
from unmask.roots.rerank.text_tree import text_tree
from unmask.roots.rerank.tree_coherence import TreeCoder, incoherence


class Terms(NamedTuple):
    """The terms of some texts, without weights.

    Attributes:
        surprisal: Nats a byte.
        correction: Nats a byte.
        incoherence: Mean squared distance of codes; 0 for a text of one sentence.
    """

    surprisal: Float64[np.ndarray, " S"]
    correction: Float64[np.ndarray, " S"]
    incoherence: Float64[np.ndarray, " S"]


@dataclass(frozen=True)
class ByteAwareEnergy:
    """The energy.

    Attributes:
        prior: A fitted byte model.
        correction: Trained against samples of that model.
        coder: Of sentences.
        correction_weight: w_f.
        tree_weight: w_tree.
    """

    prior: ByteModel
    correction: Correction
    coder: TreeCoder
    correction_weight: float = 1.0
    tree_weight: float = 1.0

    def terms(self, texts: Sequence[bytes]) -> Terms:
        """Return the terms of each text; an empty text has zeros."""
        sizes = np.maximum([len(text) for text in texts], 1)
        return Terms(
            surprisal(self.prior, texts),
            self.correction.of(texts).double().numpy() / sizes,
            np.array([self._incoherence(text) for text in texts]),
        )

    def __call__(self, texts: Sequence[bytes]) -> Float64[np.ndarray, " S"]:
        """Return E of each text."""
        terms = self.terms(texts)
        return terms.surprisal + self.correction_weight * terms.correction + self.tree_weight * terms.incoherence

    def _incoherence(self, text: bytes) -> float:
        tree = text_tree(text)
        return incoherence(self.coder.of(tree.texts(text)), tree)


def surprisal(model: ByteModel, texts: Sequence[bytes]) -> Float64[np.ndarray, " S"]:
    """Return the mean of -ln P of each text's bytes, its end not counted; 0 for an empty text."""
    return np.array([model.nats(text)[:-1].sum() / max(len(text), 1) for text in texts], np.float64)
