"""Nats of held-out blocks, each scored as it is: what a training run is watched by, and an adapted one held against.

The lengths of the documents in a block are given where a process is told them, and not paid for: numbers to compare
within a process. ``unmask evaluate`` has those to compare across processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from unmask.data.batch import Batch
from unmask.diffusion.likelihood import Likelihood


@dataclass(frozen=True)
class Scored:
    """Sums over blocks.

    Attributes:
        nats: Of all tokens that may be asked; of talks, those of responses.
        tokens: How many these are.
        bound: What kind of number it is; empty: there was no block.
    """

    nats: float
    tokens: float
    bound: str


def scored_blocks(
    score: Callable[[Batch], Likelihood],
    places: Sequence[int],
    at_once: int,
    batch_of: Callable[[Sequence[int]], Batch],
) -> Scored:
    """Score blocks.

    Args:
        score: Scores a batch.
        places: Which blocks.
        at_once: Blocks of a batch.
        batch_of: Makes a batch of some places.
    """
    nats = tokens = 0.0
    bound = ""
    for first in range(0, len(places), at_once):
        batch = batch_of(places[first : first + at_once])
        with torch.inference_mode():
            found = score(batch)
        bound = found.bound
        nats, tokens = nats + float(found.nats.double().sum()), tokens + float(batch.askable.sum())
    return Scored(nats, tokens, bound)
