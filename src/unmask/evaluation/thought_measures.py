"""What thoughts are worth as a code: compression, diversity, and the check against collapse, each beside its control.

    compression   R^2 of the full thought, told from the reduced one / (numbers of the reduced / of the full)
    diversity     effective rank of the thoughts of many passages: (sum l)^2 / sum l^2 with l the variances along the
                  principal axes (participation ratio), and exp H(s / sum s) with s their square roots (Roy & Vetterli
                  2007); and the mean cosine of thoughts of different documents
    collapse      few effective directions beside Gaussian thoughts, or thoughts of different documents that are alike

No number speaks alone: thoughts of low rank compress perfectly. So compression stands beside a random projection of the
same size and other documents' reductions, diversity beside Gaussian thoughts of the same number. Stability and
alignment have files of their own (``thought_stability``, ``thought_alignment``).

The original's other figures (correlation of neighbouring cells, "temporal" stability along space, integrity, pattern
strength) describe a tensor and promise nothing: smoothed noise has them all. They are left out.

Letters: N passages, F numbers of a thought, G of a reduced one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from unmask.errors import Error
from unmask.evaluation.ridge import explained, means, of_others, told

Span = tuple[float, float]


@dataclass(frozen=True)
class Compression:
    """How much of a thought its reduction keeps, on documents that no probe was fitted on.

    Attributes:
        kept: Numbers of the reduced thought / of the full one.
        own: R^2 of the network's own reconstruction; ``None``: thoughts do not vary.
        own_interval: 95 % over documents.
        own_shuffled: The same from another document's reduced thought.
        probe: R^2 of a ridge.
        probe_interval: 95 % over documents.
        probe_shuffled: Of a ridge fitted on shuffled pairs.
        probe_random: Of a ridge from a random projection of the thought to as many numbers.
        passages: N.
    """

    kept: float
    own: float | None
    own_interval: Span | None
    own_shuffled: float | None
    probe: float | None
    probe_interval: Span | None
    probe_shuffled: float | None
    probe_random: float | None
    passages: int

    def ratio(self, explained: float | None) -> float | None:
        """Return the compression ratio that belongs to an R^2: 1 keeps as much as it has numbers, 1 / kept all."""
        return None if explained is None else explained / self.kept


def compression(
    full: Float[np.ndarray, "N F"],
    reduced: Float[np.ndarray, "N G"],
    rebuilt: Float[np.ndarray, "N F"],
    document: Int[np.ndarray, " N"],
    *,
    seed: int = 0,
) -> Compression:
    """Measure what is left of thoughts in their reductions.

    Args:
        full: Clean thoughts of passages that the network was not trained on.
        reduced: Their reductions.
        rebuilt: What the network makes of those.
        document: Document of each passage.
        seed: Of folds, shuffling and projection.

    Raises:
        Error: fewer than two documents.
    """
    rng = np.random.default_rng(seed)
    other = of_others(document, rng)
    mean = means(full, document, seed=seed)
    own, own_span = explained(full, rebuilt, mean, document)
    projection = full @ rng.standard_normal((full.shape[1], reduced.shape[1]))
    found = {}
    for name, known in (("probe", reduced), ("shuffled", reduced[other]), ("random", projection)):
        answer = told(known, full, document, seed=seed)
        found[name] = explained(full, answer.predicted, answer.mean, document)
    return Compression(
        kept=reduced.shape[1] / full.shape[1],
        own=own,
        own_interval=own_span,
        own_shuffled=explained(full, rebuilt[other], mean, document)[0],
        probe=found["probe"][0],
        probe_interval=found["probe"][1],
        probe_shuffled=found["shuffled"][0],
        probe_random=found["random"][0],
        passages=len(full),
    )


@dataclass(frozen=True)
class Diversity:
    """How many directions thoughts take.

    Attributes:
        participation: Participation ratio.
        rank: Entropy-based effective rank.
        gaussian_participation: Of as many Gaussian thoughts.
        gaussian_rank: Of as many Gaussian thoughts.
        cosine: Mean cosine of thoughts of different documents; ``None``: there is one document.
        gaussian_cosine: Of Gaussian thoughts.
        passages: N.
        numbers: F.
    """

    participation: float
    rank: float
    gaussian_participation: float
    gaussian_rank: float
    cosine: float | None
    gaussian_cosine: float | None
    passages: int
    numbers: int


def diversity(thoughts: Float[np.ndarray, "N F"], document: Int[np.ndarray, " N"], *, seed: int = 0) -> Diversity:
    """Measure the spread of thoughts over passages.

    Args:
        thoughts: Clean thoughts.
        document: Document of each.
        seed: Of the Gaussian control.

    Raises:
        Error: fewer than two passages.
    """
    if len(thoughts) < 2:
        raise Error("diversity is over passages; give two or more.")
    noise = np.random.default_rng(seed).standard_normal(thoughts.shape)
    own, control = _ranks(thoughts), _ranks(noise)
    apart = _apart(thoughts, document), _apart(noise, document)
    return Diversity(own[0], own[1], control[0], control[1], apart[0], apart[1], *thoughts.shape)


@dataclass(frozen=True)
class Collapse:
    """Whether thoughts have collapsed, and why it is said.

    Attributes:
        collapsed: The verdict.
        why: One line.
    """

    collapsed: bool
    why: str


def collapse_check(found: Diversity, *, least_share: float = 0.05, most_cosine: float = 0.9) -> Collapse:
    """Judge whether thoughts still tell texts apart.

    Args:
        found: Their diversity.
        least_share: A participation ratio below this share of the Gaussian control's is a collapse onto few directions.
        most_cosine: A mean cosine of different documents' thoughts above this is a collapse onto one thought, however
            many directions are left around it. Both limits are conventions, printed with the verdict.
    """
    share = found.participation / max(found.gaussian_participation, 1e-12)
    why = f"{found.participation:.1f} effective directions, {share:.1%} of the control's (limit {least_share:.0%})"
    if found.cosine is not None:
        why += f"; mean cosine of different documents {found.cosine:.2f} (limit {most_cosine})"
    return Collapse(share < least_share or (found.cosine or 0.0) > most_cosine, why)


def _ranks(thoughts: Float[np.ndarray, "N F"]) -> tuple[float, float]:
    """Return the participation ratio and the entropy-based effective rank; 0 where nothing varies."""
    centred = thoughts.astype(np.float64) - thoughts.astype(np.float64).mean(0)
    s = np.linalg.svd(centred, compute_uv=False)
    if s[0] <= 1e-12 * np.sqrt(np.square(thoughts.astype(np.float64)).sum()) or s[0] == 0:
        return 0.0, 0.0
    share = s / s.sum()
    share = share[share > 0]
    return float(np.square(s).sum() ** 2 / (s**4).sum()), float(np.exp(-(share * np.log(share)).sum()))


def _apart(thoughts: Float[np.ndarray, "N F"], document: Int[np.ndarray, " N"]) -> float | None:
    """Return the mean cosine over all pairs of different documents."""
    vectors = unit(thoughts)
    _, place, count = np.unique(document, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), vectors.shape[1]))
    np.add.at(sums, place, vectors)
    pairs = len(vectors) ** 2 - np.square(count).sum()
    return float((np.square(sums.sum(0)).sum() - np.square(sums).sum()) / pairs) if pairs else None


def unit(x: Float[np.ndarray, "*N D"]) -> Float[np.ndarray, "*N D"]:
    """Return vectors of length 1; zeros stay zeros."""
    x = x.astype(np.float64)
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12))
