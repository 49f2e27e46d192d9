"""Confidence sampling: decide the positions that the model is surest of first (MaskGIT, Chang et al. 2022).

Step i of N leaves floor(n gamma(i/N)) of the n positions open, with gamma(r) = cos(pi/2 r) or 1 - r, and decides at
least one; so the last step fills whatever is left. Positions decided in one step are drawn independently of each other:
fewer steps, less agreement. Source: arXiv 2202.04200, section 3.2.

Letters: B rows, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.sampling.carry import answered, carried_on
from unmask.sampling.decide import commit, propose
from unmask.sampling.doubt import peak_of
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.settings import ConfidenceSettings
from unmask.sampling.state import Frame, SamplerState, frame, rows


@dataclass(frozen=True)
class Confidence:
    """Decide the surest positions of each row."""

    Settings: ClassVar[type[ConfidenceSettings]] = ConfidenceSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"confidence_noise": 1.0},
        {"confidence_of": "drawn"},
        {"confidence_of": "drawn", "confidence_noise": 1.0},
        {"confidence_stop": 0.6},
    )

    def promise(self, settings: ConfidenceSettings) -> Promise:
        """One position a step is exact if the order depends on visible tokens and on chance alone.

        Ordering by the probability of the token that was *drawn* keeps a likely draw and throws an unlikely one away to
        draw again: biased at any number of steps. So is a stop that fills many positions at once.
        """
        free = settings.confidence_of == "peak" and settings.confidence_stop is None
        return "limit" if free and settings.draws_as_told else "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state."""
        return started(self.Settings, requests, vocabulary)

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Decide the surest open positions; only where the drawn token says how sure it is are others drawn too."""
        active = ~state.done
        if not bool(active.any()):
            return state, frame(state, state)
        index = active.nonzero()[:, 0]
        part = state if bool(active.all()) else rows(state, index)
        answer = answered(model, part, part.open)
        logits = answer.logits
        blank = torch.zeros(part.open.shape, dtype=torch.float64, device=part.tokens.device)
        sure = blank.masked_scatter(part.open, peak_of(part, part.open, logits))
        by_draw = torch.tensor([s.confidence_of == "drawn" for s in part.settings], device=part.tokens.device)
        if bool(by_draw.any()):
            at = part.open & by_draw[:, None]
            sure = sure.masked_scatter(at, propose(part, at, logits[at[part.open]]).probability)
        kept = _surest(part, _scores(part, sure), _count(part, sure))

        drawn = propose(part, kept, logits[kept[part.open]])
        chosen = torch.zeros_like(state.open).index_copy(0, index, kept)
        tokens = state.tokens.masked_scatter(chosen, drawn.token)
        confidence = state.confidence.masked_scatter(chosen, drawn.probability.to(state.confidence.dtype))
        after = commit(state, chosen, tokens, confidence)
        after = carried_on(model, state, after, part, index, part.open, answer)
        after = replace(after, step=state.step + active, forwards=state.forwards + active)
        return after, frame(after, state)


def _count(state: SamplerState, sure: Float[Tensor, "B T"]) -> Int[Tensor, " B"]:
    """Return how many positions each row decides now."""
    share = ((state.step + 1) / state.setting("steps")).clamp(max=1)
    linear = torch.tensor([s.reveal == "linear" for s in state.settings], device=share.device)
    # 1e-9: cos(pi/2) is 6e-17 and not 0, and n * (1 - 1/n) may fall just short of n - 1.
    keep_open = torch.where(linear, 1 - share, (share * (math.pi / 2)).cos()) * state.total
    now = state.open.sum(1)
    count = (now - (keep_open + 1e-9).floor().long()).clamp(min=1)
    stop = [2.0 if s.confidence_stop is None else s.confidence_stop for s in state.settings]
    least = sure.masked_fill(~state.open, torch.inf).amin(1)
    return torch.where(least > torch.tensor(stop, dtype=least.dtype, device=least.device), now, count)


def _scores(state: SamplerState, sure: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Return log-confidence, with Gumbel noise that fades as the canvas fills."""
    score = sure.log()
    scale = state.setting("confidence_noise").clamp(max=1e300)  # times the largest Gumbel number, 38, it is finite
    if bool((scale > 0).any()):
        u = state.noise.uniform("confidence", score.shape[1]).clamp(min=2.0**-54)
        share = state.open.sum(1) / state.total.clamp(min=1)
        score = score + (scale * share)[:, None] * -(-u.log()).log()
    return score


def _surest(state: SamplerState, score: Float[Tensor, "B T"], count: Int[Tensor, " B"]) -> Bool[Tensor, "B T"]:
    """Return the ``count`` open positions with the highest score of each row; the leftmost of equals."""
    order = score.masked_fill(~state.open, -torch.inf).argsort(dim=1, descending=True, stable=True)
    place = torch.arange(order.shape[1], device=order.device)[None] < count[:, None]
    return torch.zeros_like(state.open).scatter(1, order, place) & state.open
