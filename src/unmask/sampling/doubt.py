"""How sure a network is of open positions, before anything is drawn: what samplers order positions by.

Float32, whatever the network computes in: these numbers order positions, and only what is then decided is drawn, in
float64. Tokens that must not be drawn have no probability.

Letters: B rows, T positions, V vocabulary, n open positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.sampling.categorical import refuse_nan
from unmask.sampling.decide import forbidden_at
from unmask.sampling.state import SamplerState


@dataclass(frozen=True)
class Doubt:
    """What a network's distributions at n positions are like.

    Attributes:
        peak: The largest probability.
        margin: That less the second largest.
        entropy: Nats.
    """

    peak: Float[Tensor, " n"]
    margin: Float[Tensor, " n"]
    entropy: Float[Tensor, " n"]


def peak_of(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Float[Tensor, " n"]:
    """Return the largest probability at each position, float64.

    Raises:
        Error: the logits are not finite, or no token may be drawn at a position.
    """
    kept = allowed(state, at, logits)
    top = kept.amax(-1, keepdim=True)
    total = kept.sub_(top).exp_().sum(-1).log_().add_(top[:, 0])  # as logsumexp, with one copy of the logits less
    peak = (top[:, 0] - total).exp().double()
    return refuse_nan(peak, allowed(state, at, logits)) if bool(peak.isnan().any()) else peak


def said_of(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return the log-probabilities at each position; -inf where a token must not be drawn."""
    return allowed(state, at, logits).log_softmax(-1)


def doubt_of(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Doubt:
    """Return peak, margin and entropy at each position, float64.

    Raises:
        Error: the logits are not finite, or no token may be drawn at a position.
    """
    kept = allowed(state, at, logits)
    p = kept.softmax(-1)
    entropy = torch.special.entr(p).clamp_(min=0).sum(-1).double()
    peak, best = p.max(-1, keepdim=True)
    second = p.scatter_(1, best, 0.0).amax(-1).double()  # topk sorts, and is several times as slow
    peak = refuse_nan(peak[:, 0].double(), kept)
    return Doubt(peak, peak - second, entropy)


def allowed(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return the logits, a copy in float32, -inf where a token must not be drawn."""
    return logits.to(torch.float32, copy=True).masked_fill_(forbidden_at(state, at, logits), -torch.inf)
