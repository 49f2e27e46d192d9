"""The measures of generated text that need a library or a network: self-BLEU, coherence, divergence.

Each returns the texts' number and that of real text of the same size. What cannot be measured here (a library that is
not installed, too few texts) is said once and left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unmask.data.embeddings import WordLlamaEmbedder
from unmask.errors import Error
from unmask.evaluation.coherence import coherence
from unmask.evaluation.divergence import FEWEST, text_divergence
from unmask.evaluation.features import NetworkFeatures, StaticFeatures, TextFeatures
from unmask.evaluation.judge import Judge, NetworkJudge
from unmask.evaluation.overlap import self_bleu
from unmask.reports.yardstick import Measure

Pair = tuple[float | None, float | None]


def text_measures(
    judges: Sequence[Judge],
    real: Sequence[str],
    samples: int,
    seed: int,
    warn: Callable[[str], None],
    divergence: bool = True,
) -> dict[str, Measure]:
    """Return the measures that can be taken here, by name.

    Args:
        judges: A network among them, trained on text that no rival saw, gives the divergence its features.
        real: Real documents.
        samples: Texts that each row writes.
        seed: Of random splits and choices.
        warn: Called with what cannot be measured, and why.
        divergence: Whether it is one of them.
    """
    found: dict[str, Measure] = {}
    try:
        self_bleu(["one text", "and another"])
        found["self_bleu"] = lambda texts, matched: (self_bleu(texts, seed=seed), self_bleu(matched, seed=seed))
    except Error as error:
        warn(f"no self-BLEU: {error}")
    embedder = None
    try:
        embedder = WordLlamaEmbedder()
        found["coherence"] = _coherence(embedder, seed)
    except Error as error:
        warn(f"no semantic coherence: {error}")
    if not divergence:
        return found
    network = next((judge for judge in judges if isinstance(judge, NetworkJudge)), None)
    features: TextFeatures | None = None if embedder is None else StaticFeatures(embedder)
    if network is not None:
        features = NetworkFeatures(network.network, network.process, network.tokenizer)
    if min(samples, len(real) // 2) < FEWEST:
        warn(f"no divergence: it needs {FEWEST} samples a row and {2 * FEWEST} real documents.")
    elif features is not None:
        found["divergence"] = _divergence(features, real, seed)
    return found


def _coherence(embedder: WordLlamaEmbedder, seed: int) -> Measure:
    def measure(texts: Sequence[str], matched: Sequence[str]) -> Pair:
        return coherence(texts, embedder, seed=seed).gap, coherence(matched, embedder, seed=seed).gap

    return measure


def _divergence(features: TextFeatures, real: Sequence[str], seed: int) -> Measure:
    def measure(texts: Sequence[str], matched: Sequence[str]) -> Pair:
        try:
            found = text_divergence(texts, real, features, seed=seed)
        except Error:  # a row of few texts, such as a control
            return None, None
        return found.area.value, found.controls["real"].value

    return measure
