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
    return refuse_nan((kept.amax(-1) - kept.logsumexp(-1)).exp().double(), kept)


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
    two = p.topk(min(2, p.shape[1]), dim=-1).values.double()
    entropy = torch.special.entr(p).clamp(min=0).sum(-1).double()
    return Doubt(refuse_nan(two[:, 0], kept), two[:, 0] - two[:, 1:].sum(-1), entropy)


def allowed(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return the logits, float32, -inf where a token must not be drawn."""
    return logits.float().masked_fill(forbidden_at(state, at, logits), -torch.inf)
