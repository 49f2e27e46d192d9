"""Judges: how likely a generated text is to a model that never saw the rivals' training split.

A judge reports bits per byte of the texts it is given. That is no quality by itself, since a text that says "they they
they" pleases every judge: read it beside the real text's own figure (closer is better, lower is not) and beside
distinct-n and repetition. A generated text was cut off at its token budget, so end-of-text is not scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from unmask.data.ngram import ByteModel
from unmask.errors import Error
from unmask.evaluation.batches import Scorer
from unmask.evaluation.bits import bits_per_byte


class Judge(Protocol):
    """Anything that scores texts."""

    @property
    def name(self) -> str:
        """How a report calls it."""
        ...

    def bits(self, texts: Sequence[str]) -> float | None:
        """Return bits per byte of the texts together; ``None`` if they have no bytes."""
        ...


@dataclass(frozen=True)
class NgramJudge:
    """A byte n-gram, fit on text that no rival was trained on."""

    model: ByteModel
    name: str = "n-gram judge"

    def bits(self, texts: Sequence[str]) -> float | None:
        """Return bits per byte of the texts together; ``None`` if they have no bytes."""
        return byte_model_bits(self.model, texts, end=False)


@dataclass(frozen=True)
class NetworkJudge:
    """A network with an exact likelihood, trained on text that no rival was trained on.

    Long texts are cut into windows of context - 2 bytes, which fit whatever the text is, as a byte-level tokenizer
    never needs more tokens than bytes: so the windows are the same for all rivals, however odd a rival's text.
    """

    network: Any
    process: Any
    tokenizer: Scorer
    name: str = "AR judge"

    def bits(self, texts: Sequence[str]) -> float | None:
        """Return bits per byte of the texts together; ``None`` if they have no bytes."""
        texts = [text for text in texts if text]
        if not texts:
            return None
        window = int(self.network.config.max_position_embeddings) - 2
        return bits_per_byte(self.network, self.process, self.tokenizer, texts, window=window, end=False).value


def byte_model_bits(model: ByteModel, texts: Sequence[str], *, end: bool = True) -> float | None:
    """Return bits per byte of texts under a byte model, each text read whole; ``None`` if they have no bytes.

    Args:
        model: The byte model.
        texts: Texts.
        end: Whether end-of-text is scored.
    """
    nats, size = 0.0, 0
    for text in texts:
        each = model.nats(text.encode())
        nats += float(np.sum(each if end else each[:-1]))
        size += len(text.encode())
    return nats / math.log(2) / size if size else None


def refuse_biased_judge(
    judge: str, judge_corpus: str, judge_split: str, rivals: Sequence[tuple[str, str, str]]
) -> None:
    """Raise if a judge was trained on what a rival was trained on: it would favour that rival's memory.

    Args:
        judge: The judge's name.
        judge_corpus: Fingerprint of the judge's corpus.
        judge_split: The split it was trained on.
        rivals: (name, corpus fingerprint, split) of each rival.

    Raises:
        Error: the judge and a rival share corpus and split.
    """
    for name, corpus, split in rivals:
        if (corpus, split) == (judge_corpus, judge_split):
            raise Error(
                f"judge {judge} was trained on the {split} split of corpus {corpus}, as was {name}: it would favour "
                f"what {name} memorised. Train the judge with data.split=judge, or use --judge auto or --judge none."
            )
