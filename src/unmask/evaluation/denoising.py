"""How well hidden text is restored, by noise level, beside what needs no model.

At each noise level, over the corrupted positions alone:

    accuracy = share of positions whose most probable token is the clean one
    nats     = mean of -log p(clean token | what is in view)

Controls on the same positions: ``unigram``, which always answers the most frequent token and pays its frequency; and
``copy``, which answers the token in view. For masks a copy is never right: anything above 0 says that the corruption
shows its answer. Left to right there is one level, "next token", and a copy repeats the token before.

These are accuracies of single positions given the same view; a mean over them is not a likelihood (see ``bits``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.predictions import Predictions


@dataclass(frozen=True)
class NoiseLevel:
    """One noise level. Measures of nothing (no positions) are ``None``.

    Attributes:
        name: ``(low, high]`` share of the text that is hidden, or ``next token``.
        states: Corrupted windows.
        positions: Corrupted positions in them.
        accuracy: Share of positions restored.
        accuracy_interval: 95 % interval over documents; ``None`` for a single document.
        nats: Mean nats a corrupted position.
        nats_interval: The same interval of ``nats``.
        unigram_accuracy: Share that the most frequent token gets right.
        unigram_nats: Mean nats under token frequencies.
        copy_accuracy: Share that the token in view gets right.
    """

    name: str
    states: int
    positions: int
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    nats: float | None = None
    nats_interval: tuple[float, float] | None = None
    unigram_accuracy: float | None = None
    unigram_nats: float | None = None
    copy_accuracy: float | None = None


@dataclass(frozen=True)
class DenoisingProfile:
    """Accuracy and nats by noise level.

    Attributes:
        levels: One entry a noise level, from little to much noise.
    """

    levels: list[NoiseLevel]

    def to_dict(self) -> dict[str, Any]:
        """Return the profile by name."""
        return asdict(self)


def denoising_profile(predictions: Predictions) -> DenoisingProfile:
    """Return accuracy and nats at each noise level, beside the unigram and the copy.

    Args:
        predictions: From :func:`unmask.evaluation.predictions.predict_corrupted`.
    """
    levels = []
    for number, name in enumerate(predictions.levels):
        part, states = predictions.at(number), int(predictions.states[number])
        if not len(part.level):
            levels.append(NoiseLevel(name, states, 0))
            continue
        spans = [
            mean_interval(part.document, part.documents, part.correct, share=True),
            mean_interval(part.document, part.documents, part.nats),
        ]
        levels.append(
            NoiseLevel(
                name,
                states,
                len(part.level),
                accuracy=float(part.correct.mean()),
                accuracy_interval=spans[0],
                nats=float(part.nats.mean(dtype=float)),
                nats_interval=spans[1],
                unigram_accuracy=float(part.unigram_correct.mean()),
                unigram_nats=float(part.unigram_nats.mean(dtype=float)),
                copy_accuracy=float(part.copied.mean()),
            )
        )
    return DenoisingProfile(levels)
