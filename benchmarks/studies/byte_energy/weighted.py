"""Candidates of a search in a new order: the cosine that found them, and what their bytes say.

    score(q, d) = cos(q, d) - sum_j w_j E_j(q, d)

    surprisal     of the candidate's bytes     knows nothing of the query: can only prefer usual texts
    correction    of the candidate's bytes     the same
    given         surprisal of the *query's* bytes, given the candidate's context: byte n-grams that they share
    coherence     |z_q - z_d|^2 of tree codes, were the query the first sentence of the candidate's section

The weights are chosen on queries whose answers are known and which are not told: one after the other, twice around,
from 0 and powers of two over the term's spread, by the mean reciprocal rank. 0 is among them, so on those queries a
weight never harms.

Letters: Q queries, K candidates of each, J terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from benchmarks.studies.byte_energy.measured_context import byte_context
from unmask.data.ngram_entropy import NgramEntropy
from unmask.errors import Error
from unmask.roots.rerank.byte_context import ByteContext, pack
from unmask.roots.rerank.correction import Correction
from unmask.roots.rerank.tree_coherence import TreeCoder

TERMS = ("surprisal", "correction", "given", "coherence")
_GRID = (0.0, *(2.0**power for power in range(-7, 3)))


@dataclass(frozen=True)
class Candidate:
    """What is kept of a text that may be found.

    Attributes:
        context: Of its bytes.
        correction: f, nats a byte.
        code: Of its bytes as one sentence.
    """

    context: ByteContext
    correction: float
    code: Float[np.ndarray, " D"]


@dataclass(frozen=True)
class Reranker:
    """The terms, and their weights.

    Attributes:
        source: A byte model and its entropies.
        correction: Trained against its samples.
        coder: Of sentences.
        weights: w; zeros before they are chosen.
    """

    source: NgramEntropy
    correction: Correction
    coder: TreeCoder
    weights: tuple[float, ...] = (0.0,) * len(TERMS)

    def candidates(self, texts: Sequence[bytes]) -> list[Candidate]:
        """Return what is kept of texts; once a text."""
        corrections = self.correction.of(texts).double().numpy() / np.maximum([len(text) for text in texts], 1)
        codes = self.coder.of(texts).numpy()
        contexts = [byte_context(text, self.source) for text in texts]
        return [Candidate(*kept) for kept in zip(contexts, corrections.tolist(), codes, strict=True)]

    def energies(self, query: bytes, candidates: Sequence[Candidate]) -> Float64[np.ndarray, "K J"]:
        """Return the terms of a query's candidates, in the order of :data:`TERMS`."""
        nats = self.source.model.nats(query)[:-1]
        code = self.coder.of([query])[0].numpy()
        grams = {order: pack(query, order) for order in {held.context.order for held in candidates}}
        return np.array(
            [
                [
                    held.context.surprisal,
                    held.correction,
                    held.context.given_known(grams[held.context.order], nats).sum() / max(len(query), 1),
                    np.square(held.code - code).sum(),
                ]
                for held in candidates
            ]
        ).reshape(-1, len(TERMS))

    def rerank(
        self, query: bytes, candidates: Sequence[Candidate], cosine: Float[np.ndarray, " K"]
    ) -> Int64[np.ndarray, " K"]:
        """Return the candidates' numbers, best first; equal ones stay in their order.

        Raises:
            Error: not one cosine a candidate.
        """
        if len(candidates) != len(cosine):
            raise Error(f"{len(candidates)} candidates need as many cosines, not {len(cosine)}.")
        score = cosine - self.energies(query, candidates) @ np.array(self.weights)
        return np.argsort(-score, kind="stable")


def ranks(
    cosine: Float[np.ndarray, "Q K"],
    energies: Float64[np.ndarray, "Q K J"],
    weights: Sequence[float],
    answer: Int64[np.ndarray, " Q"],
) -> Float64[np.ndarray, " Q"]:
    """Return the place of each query's answer, 1 the best; infinite where it is not among the candidates.

    Args:
        cosine: Of each candidate.
        energies: Of each candidate.
        weights: w.
        answer: Which candidate is right; -1: none. Others that score the same count half.
    """
    score = cosine - energies @ np.asarray(weights, np.float64)
    own = np.take_along_axis(score, np.maximum(answer, 0)[:, None], 1)
    place = (score > own).sum(1) + ((score == own).sum(1) - 1) / 2 + 1.0
    return np.where(answer >= 0, place, np.inf)


def choose_weights(
    cosine: Float[np.ndarray, "Q K"],
    energies: Float64[np.ndarray, "Q K J"],
    answer: Int64[np.ndarray, " Q"],
    use: Sequence[int] | None = None,
) -> tuple[float, ...]:
    """Return the weights above.

    Args:
        cosine: Of each candidate.
        energies: Of each candidate.
        answer: As in :func:`ranks`.
        use: Which terms may have a weight; ``None``: all.

    Raises:
        Error: there is no query.
    """
    if not len(cosine):
        raise Error("weights need queries whose answers are known; there are none.")
    weights = [0.0] * energies.shape[2]
    spread = cosine.std(1).mean() / np.maximum(energies.std(1).mean(0), 1e-12)
    best = float(np.mean(1 / ranks(cosine, energies, weights, answer)))
    for _ in range(2):
        for term in range(len(weights)) if use is None else use:
            for share in _GRID:
                tried = [*weights[:term], share * float(spread[term]), *weights[term + 1 :]]
                found = float(np.mean(1 / ranks(cosine, energies, tried, answer)))
                if found > best:
                    weights, best = tried, found
    return tuple(weights)
