"""How weighted candidates enter a network: pooled to one vector a position, or as positions of their own.

* ``pooled``: at an open position, attention over its K candidates and the rest of the mass,

      a_k = softmax_k( s log m_k + q . norm(E c_k) / sqrt(D) ),     x = E[mask] + W sum_k a_k E[c_k]

  where the rest (the mask's own share) has value 0. With q = 0 and s = 1 this is the mass-weighted mean embedding of
  soft masking (arXiv 2510.17206). One vector a position: the network costs what it did.
* ``full``: each position is K + 1 slots (the token in view and K candidates) that all attend to all slots, keys biased
  by s_l log m (the original's attention); a learned query reads the slots out. (K+1)^2 times the attention.

Both are symmetric in the candidates. A state without candidates gives the network without them, bit for bit in
``pooled``.

Letters: B batch, T tokens, K candidates, S = K + 1 slots, D width, L layers.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unmask.diffusion.noise import Noise
from unmask.diffusion.state import SparseState, State

LEAST = 1e-8
"""Mass below which a candidate is none."""


def embedded(embed: nn.Embedding, candidates: SparseState) -> Float[Tensor, "B T K D"]:
    """Return the embeddings of the candidates, with the noise that the state puts on them."""
    value: Tensor = embed(candidates.tokens)
    jitter = candidates.jitter
    if jitter is None:
        return value
    scale = embed.weight.detach().float().pow(2).mean().sqrt() * jitter.level
    noise = Noise(0, jitter.keys).normal("jitter", value[0].numel()).view(value.shape)
    return value + (scale.view(-1, 1, 1, 1) * noise).to(value.dtype)


class PooledCandidates(nn.Module):
    """K candidates to one vector, added to the embedding of an open position."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))
        self.sharpness = nn.Parameter(torch.ones(()))
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, embed: nn.Embedding, candidates: SparseState) -> Float[Tensor, "B T D"]:
        """Return what the candidates add; exactly 0 where there are none."""
        mass = candidates.mass
        some = mass.sum(-1) > LEAST
        value = embed(candidates.tokens[some]) if candidates.jitter is None else embedded(embed, candidates)[some]
        known = mass[some]
        score = self.sharpness * known.clamp(min=LEAST).log()
        unit = value * torch.rsqrt(value.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(value.dtype)
        score = score + (unit @ self.query) / math.sqrt(len(self.query))
        score = score.masked_fill(known <= LEAST, -torch.inf)
        rest = self.sharpness * candidates.rest[some].clamp(min=LEAST).log()
        weight = torch.cat([score, rest[:, None]], -1).softmax(-1)[:, :-1]
        mixed = self.out((weight.to(value.dtype)[:, None] @ value)[:, 0])
        return torch.zeros(*some.shape, mixed.shape[-1], dtype=mixed.dtype, device=mixed.device).masked_scatter(
            some[..., None], mixed
        )


class FullCandidates(nn.Module):
    """Every candidate a position of its own in every attention, and a learned readout of each position's slots."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(layers))
        self.read = nn.Parameter(torch.zeros(width))
        self.read_sharpness = nn.Parameter(torch.ones(()))

    def slots(self, state: State) -> tuple[Int[Tensor, "B T S"], Float[Tensor, "B T S"]]:
        """Return tokens and masses of the slots: the token in view with the rest of the mass, and the candidates."""
        given = state.candidates
        if given is None:
            return state.tokens[..., None], torch.ones(*state.tokens.shape, 1, device=state.tokens.device)
        tokens = torch.cat([state.tokens[..., None], given.tokens], -1)
        return tokens, torch.cat([given.rest[..., None], given.mass], -1)

    def bias(
        self, layer: int, mass: Float[Tensor, "B T S"], mask: Bool[Tensor, "B 1 T T"] | None
    ) -> Float[Tensor, "B 1 X X"]:
        """Return the additive attention mask of a layer over the flattened T*S slots: s_l log m of the key."""
        batch, length, slots = mass.shape
        some = mass > LEAST
        key = (self.sharpness[layer] * mass.clamp(min=LEAST).log()).masked_fill(~some, -torch.inf)
        key = key.reshape(batch, 1, 1, length * slots)
        if mask is None:
            return key.expand(batch, 1, length * slots, length * slots)
        allowed = mask.repeat_interleave(slots, -1).repeat_interleave(slots, -2)
        return key.expand(batch, 1, length * slots, -1).masked_fill(~allowed, -torch.inf)

    def readout(self, x: Float[Tensor, "n S D"], mass: Float[Tensor, "n S"]) -> Float[Tensor, "n D"]:
        """Return one vector a position: softmax over its slots of (read . x / sqrt D + s_r log m)."""
        score = (x @ self.read) / math.sqrt(len(self.read))
        score = score + self.read_sharpness * mass.clamp(min=LEAST).log()
        weight = score.masked_fill(mass <= LEAST, -torch.inf).softmax(-1)
        return (weight[..., None] * x).sum(-2)
