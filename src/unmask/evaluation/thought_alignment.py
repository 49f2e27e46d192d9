"""Do thoughts go with their passages? How often a thought picks out its own passage's words among N.

A thought's best match by cosine, in a space that both are projected to: the network's own, which its contrastive loss
trains, or vectors of the words that the network never saw, told from the thought by a ridge on other documents. Chance
is 1 / N, and shuffled pairs must find no more. N decides the number: never compare two of them.

Letters: N passages to choose from, n passages asked, F numbers of a thought, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from unmask.errors import Error
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.ridge import told
from unmask.evaluation.thought_measures import unit

Span = tuple[float, float]


@dataclass(frozen=True)
class Alignment:
    """How often a thought's best match is its own passage.

    Attributes:
        accuracy: Share of passages.
        interval: 95 % over documents.
        shuffled: The same where pairs were shuffled.
        chance: 1 / N.
        among: Passages to choose from (N); neighbours of the same document may be among them.
        passages: Passages asked.
    """

    accuracy: float
    interval: Span | None
    shuffled: float
    chance: float
    among: int
    passages: int


def alignment(
    thoughts: Float[np.ndarray, "N D"],
    words: Float[np.ndarray, "N D"],
    document: Int[np.ndarray, " N"],
    *,
    among: int = 16,
    seed: int = 0,
) -> Alignment:
    """Measure retrieval of a passage by its thought, by cosine in a shared space.

    Args:
        thoughts: One vector a thought.
        words: One vector a passage.
        document: Document of each.
        among: Passages to choose from; fewer if there are fewer.
        seed: Of the groups, and of the shuffling.

    Raises:
        Error: fewer than two passages.
    """
    right, rows, among = _retrieved(thoughts, words, among, seed)
    other = np.random.default_rng(seed + 1).permutation(len(words))
    shuffled, _, _ = _retrieved(thoughts, words[other], among, seed)
    span = mean_interval(document[rows], int(document.max()) + 1, right, share=True)
    return Alignment(float(right.mean()), span, float(shuffled.mean()), 1 / among, among, len(rows))


def probe_alignment(
    thoughts: Float[np.ndarray, "N F"],
    words: Float[np.ndarray, "N D"],
    document: Int[np.ndarray, " N"],
    *,
    among: int = 16,
    seed: int = 0,
) -> Alignment:
    """Measure retrieval by a ridge from thoughts to vectors of their passages that the network never saw.

    Arguments and errors: :func:`alignment`, :func:`unmask.evaluation.ridge.told`. What all passages have in common is
    taken out. The control is a ridge fitted on shuffled pairs.
    """
    other = np.random.default_rng(seed + 1).permutation(len(words))
    found = []
    for target in (words, words[other]):
        answer = told(thoughts, target, document, seed=seed)
        found.append(_retrieved(answer.predicted - answer.mean, target - answer.mean, among, seed))
    (right, rows, among), (shuffled, _, _) = found
    span = mean_interval(document[rows], int(document.max()) + 1, right, share=True)
    return Alignment(float(right.mean()), span, float(shuffled.mean()), 1 / among, among, len(rows))


def _retrieved(
    asks: Float[np.ndarray, "N D"], answers: Float[np.ndarray, "N D"], among: int, seed: int
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"], int]:
    """Return whether each ask found its answer within its group, which rows were asked, and the group's size."""
    among = min(among, len(asks))
    if among < 2:
        raise Error("alignment chooses among passages; give two or more.")
    rows = np.random.default_rng(seed).permutation(len(asks))[: len(asks) // among * among]
    groups = rows.reshape(-1, among)
    score = np.einsum("gid,gjd->gij", unit(asks)[groups], unit(answers)[groups])
    right = score.argmax(-1) == np.arange(among)
    return right.ravel().astype(np.float64), rows, among
