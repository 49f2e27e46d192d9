"""Likelihoods of discrete text: exact, or an upper bound on the nats that says so.

Letters: B batch, T tokens, V vocabulary, K draws.

* ``causal_nats``: the chain rule, exact.
* ``masked_bound``: the negative ELBO of masked diffusion. For a text of n tokens it equals
  E_k[ n/k * sum over a random k-subset of -log p(token | rest) ], k uniform in 1..n (Ou et al. 2024, arXiv 2406.03736;
  Nie et al. 2025, arXiv 2502.09992), which is the continuous-time bound with the count of hidden tokens integrated
  exactly. The K draws of k are spread evenly over 1..n: an unbiased estimate of an upper bound whose
  spread shrinks with K.
* ``duel_nats``: exact for the sampler that unmasks in a deterministic order (DUEL, arXiv 2603.01367): the order may
  depend on the tokens revealed so far and on the model, never on hidden ones.

Each can be asked for a part of the text (``scored``) given the rest, which is then never hidden: the same statements
about -log p(part | rest). For the chain rule "the rest" is what stands to the left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from unmask.data.batch import Batch
from unmask.diffusion.nats import nats_on_cpu
from unmask.diffusion.noise import Noise
from unmask.diffusion.state import State
from unmask.errors import Error

if TYPE_CHECKING:
    from unmask.diffusion.process import Network


@dataclass(frozen=True)
class Likelihood:
    """Nats of each row of a batch.

    Attributes:
        nats: -log p of all predictable tokens of the row, end-of-text included.
        bound: ``exact``, ``upper bound``, or ``exact for sampler X``.
        draws: Network calls a row that a bound was averaged over (1 where exact).
    """

    nats: Float[Tensor, " B"]
    bound: str
    draws: int


def token_nats(
    logits: Float[Tensor, "n V"], targets: Int[Tensor, " n"], never: int | None = None
) -> Float[Tensor, " n"]:
    """Return -log p(target), in float32 whatever the network computes in; ``never``: see :func:`without`."""
    if logits.device.type == "cpu":
        return nats_on_cpu(logits, targets, never)
    logits = logits if never is None else without(logits, never)
    return F.cross_entropy(logits.float(), targets, reduction="none")


def without(logits: Float[Tensor, "n V"], token: int) -> Float[Tensor, "n V"]:
    """Take a token (the mask) out of the distribution: it is never predicted."""
    return logits.index_fill(1, torch.tensor([token], device=logits.device), -torch.inf)


def row_sums(values: Float[Tensor, " n"], at: Bool[Tensor, "B T"]) -> Float[Tensor, " B"]:
    """Sum values of asked positions by row, in float64."""
    full = torch.zeros(at.shape, dtype=torch.float64, device=at.device)
    full[at] = values.double()
    return full.sum(1)


_SQUARE_ROOT_OF_2 = math.sqrt(2)

Dress = Callable[[State, Bool[Tensor, "B T"], Int[Tensor, "B T"], Int[Tensor, " B"], Int[Tensor, " B"]], State]
"""(masked state, hidden positions, random rank of each position, hidden count, count of all) -> what the network sees.

A trajectory shows the position of rank r before that of rank r - 1: earlier, noisier states hide more ranks."""


def askable(batch: Batch, scored: Bool[Tensor, "B T"] | None) -> Bool[Tensor, "B T"]:
    """Return the positions whose nats are counted: those that may be asked, or those of them that were asked for."""
    return batch.askable if scored is None else batch.askable & scored


def causal_nats(
    model: Network,
    batch: Batch,
    segments: Int[Tensor, "B T"] | None,
    valid: Bool[Tensor, "B T"] | None,
    mask_id: int,
    scored: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, " B"]:
    """Return the exact nats of each row, or of its scored positions given all to their left, by the chain rule."""
    at = askable(batch, scored)
    state = State(batch.tokens, "causal", segments=segments, valid=valid)
    return row_sums(token_nats(model(state, at=at).logits, batch.tokens[at], mask_id), at)


def masked_bound(
    model: Network,
    batch: Batch,
    segments: Tensor | None,
    valid: Tensor | None,
    mask_id: int,
    draws: int,
    seed: int,
    scored: Bool[Tensor, "B T"] | None = None,
    dress: Dress | None = None,
    block: Int[Tensor, "B T"] | None = None,
) -> Float[Tensor, " B"]:
    """Return an unbiased estimate of an upper bound on the nats of each row, from K network calls.

    With ``block``, the number of each position's block, below T, it is the sum of the bounds of all blocks: each hides
    a count of its own. ``dress`` has to see to it that a block sees of the text what stands before it.

    ``dress`` may show the state in another way, such as with candidates computed from what the trajectory showed
    earlier. It must not read the tokens of hidden positions.

    With ``scored`` the bound is on the nats of those positions given all others; the noise level that a network with a
    time input reads stays that of the whole text, as it is when a sampler fills a hole.
    """
    if draws < 1:
        raise Error(f"draws is {draws}; a bound needs at least 1.")
    predictable = askable(batch, scored)
    whole = batch.predictable.sum(1).clamp(min=1)
    noise = Noise(seed, batch.order)
    start = noise.uniform("bound-offset", 1)
    own = torch.zeros_like(batch.tokens) if block is None else block
    if block is not None:  # evenly spread along a text, too
        start = start + torch.arange(block.shape[1], dtype=torch.float64, device=block.device) * _SQUARE_ROOT_OF_2
    counts = predictable.new_zeros(start.shape, dtype=torch.int64).scatter_add(1, own, predictable.long())
    count = counts.sum(1)
    total = torch.zeros(len(count), dtype=torch.float64, device=count.device)
    for draw in range(draws):
        share = torch.remainder(start + draw / draws, 1.0)
        hidings = (torch.floor(share * counts).long() + 1).clamp(max=counts.clamp(min=1))
        rank = _random_ranks(noise.fold(torch.full_like(count, draw)), predictable, block)
        at = rank < hidings.gather(1, own)
        hidden = hidings[:, 0] if block is None else at.sum(1)
        state = State(
            batch.tokens.masked_fill(at, mask_id),
            "bidirectional",
            segments=segments,
            valid=valid,
            t=hidden / whole,
        )
        if dress is not None:
            state = dress(state, at, rank, hidden, count)
        nats = token_nats(model(state, at=at).logits, batch.tokens[at], mask_id)
        if block is None:
            total += row_sums(nats, at) * count / hidden
        else:
            total += row_sums(nats * (counts.double() / hidings).gather(1, own)[at], at)
    return total / draws


def _random_ranks(
    noise: Noise, among: Bool[Tensor, "B T"], block: Int[Tensor, "B T"] | None = None
) -> Int[Tensor, "B T"]:
    """Return the allowed positions of each row in uniformly random order, 0 first; the others rank behind any count.

    Those that rank below n are a uniformly random n-subset, and the subsets of one draw are nested. With blocks each
    has an order of its own.
    """
    keys = noise.uniform("subset", among.shape[1]).masked_fill(~among, 2.0)
    if block is None:
        return keys.argsort(1).argsort(1).masked_fill(~among, among.shape[1])
    size = torch.zeros_like(block).scatter_add(1, block, torch.ones_like(block))
    rank = (keys + 3.0 * block).argsort(1).argsort(1) - (size.cumsum(1) - size).gather(1, block)
    return rank.masked_fill(~among, among.shape[1])


Order = Callable[[Float[Tensor, "n V"], Int[Tensor, " n"]], Float[Tensor, " n"]]


def _peak(logits: Float[Tensor, "n V"], column: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    return logits.float().log_softmax(-1).amax(-1)


def _margin(logits: Float[Tensor, "n V"], column: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    best = logits.float().softmax(-1).topk(2, dim=-1).values
    return best[:, 0] - best[:, 1]


def _entropy(logits: Float[Tensor, "n V"], column: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    log_p = logits.float().log_softmax(-1)
    return (log_p.exp() * log_p.clamp(min=-1e30)).sum(-1)


def _left_to_right(logits: Float[Tensor, "n V"], column: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    return -column.float()


ORDERS: dict[str, Order] = {
    "peak": _peak,
    "margin": _margin,
    "entropy": _entropy,
    "left-to-right": _left_to_right,
}
"""Deterministic unmasking orders: the largest score is revealed first."""


def duel_nats(
    model: Network,
    batch: Batch,
    segments: Tensor | None,
    valid: Tensor | None,
    mask_id: int,
    order: str = "peak",
    per_step: int = 1,
    scored: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, " B"]:
    """Return the exact nats of each row under the sampler that unmasks in a deterministic order.

    Args:
        model: The network.
        batch: The texts.
        segments: Document pieces, or ``None`` where they say nothing.
        valid: Which positions hold tokens, or ``None`` for all.
        mask_id: Id of the mask.
        order: A key of :data:`ORDERS`.
        per_step: Tokens revealed, independently of each other, by one network call.
        scored: The positions whose nats are asked, given all others. ``None``: every predictable one.

    Raises:
        Error: unknown order, or ``per_step`` below 1.
    """
    if order not in ORDERS:
        raise Error(f"unknown order {order!r}; choose from {', '.join(ORDERS)}.")
    if per_step < 1:
        raise Error(f"per_step is {per_step}; it must be at least 1.")
    hidden = askable(batch, scored)
    whole = batch.predictable.sum(1).clamp(min=1)
    total = torch.zeros(len(whole), dtype=torch.float64, device=whole.device)
    while bool(hidden.any()):
        tokens = batch.tokens.masked_fill(hidden, mask_id)
        state = State(tokens, "bidirectional", segments=segments, valid=valid, t=hidden.sum(1) / whole)
        logits = without(model(state, at=hidden).logits, mask_id)
        score = torch.full(hidden.shape, -torch.inf, device=hidden.device)
        score[hidden] = ORDERS[order](logits, hidden.nonzero()[:, 1])
        best = score.argsort(dim=1, descending=True, stable=True)[:, :per_step]
        reveal = torch.zeros_like(hidden).scatter(1, best, True) & hidden
        total += row_sums(token_nats(logits[reveal[hidden]], batch.tokens[reveal]), reveal)
        hidden = hidden & ~reveal
    return total
