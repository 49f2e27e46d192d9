"""Several words of a text answered in one call, each given those before it: what has been read is not read again.

Letters: B rows, T positions, n asked positions, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.state import State
from unmask.models.cache import Cache
from unmask.sampling.state import SamplerState


@dataclass(frozen=True)
class Reading:
    """An answer.

    Attributes:
        logits: Of the asked positions, in row-major order.
        cache: Keys and values of all that was read; ``None``: nothing is kept.
        read: Tokens that were read for it.
    """

    logits: Float[Tensor, "n V"]
    cache: Cache | None
    read: Int[Tensor, " B"]


def kept(model: Any, state: SamplerState, cache: Cache | None) -> Cache | None:
    """Return the cache of a network's texts, or a new one; ``None``: the network keeps none, or not of these texts."""
    if not hasattr(model, "new_cache") or state.memory is not None:
        return None
    return model.new_cache(*state.tokens.shape) if cache is None else cache


def read_on(
    model: Any, state: SamplerState, tokens: Int[Tensor, "B T"], at: Bool[Tensor, "B T"], cache: Cache | None
) -> Reading:
    """Return what a network says of some positions, left to right.

    Args:
        model: The network.
        state: What goes with the texts.
        tokens: The texts; a word is answered from those before it, whatever stands at its own place.
        at: The positions, BOS not among them; a row may have none, and is not read.
        cache: What has been read: a beginning of each text; of it as much is used as is before the first asked word.
    """
    asked = at.any(1)
    until = torch.where(asked, at.shape[1] - at.flip(1).long().argmax(1), 0)
    if cache is None:
        length = int(until.max())
        view = State(tokens[:, :length], "causal", **state.shown(length))
        return Reading(model(view, at=at[:, :length]).logits, None, until)
    lengths = cache.lengths
    start = torch.where(asked, torch.minimum(lengths, at.long().argmax(1) - 1), lengths)
    fresh = (until - start) * asked
    column = torch.arange(int(fresh.max()), device=fresh.device)
    place = (start[:, None] + column).clamp(max=tokens.shape[1] - 1)
    valid = column < fresh[:, None]
    view = State(tokens.gather(1, place), "causal", valid=valid)
    answer = model(view, at=at.gather(1, place) & valid, cache=cache.rewound(start))
    return Reading(answer.logits, answer.cache, fresh)
