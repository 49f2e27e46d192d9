"""Confidence sampling: decide the positions that the model is surest of first (MaskGIT, Chang et al. 2022).

Step i of N leaves at most floor(n gamma(i/N)) of the n positions open, with gamma(r) = cos(pi/2 r) or 1 - r, and
decides at least one; so the last step fills whatever is left. A rule of acceptance may decide more, and end sooner
(:mod:`unmask.sampling.accept`). Positions decided in one step are drawn independently of each other: fewer steps, less
agreement. Source: arXiv 2202.04200, section 3.2.

Letters: B rows, T positions, n open positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.diffusion.carried import renewed
from unmask.sampling.accept import accepted, apart
from unmask.sampling.calibrated import trust_in
from unmask.sampling.carry import answered, carried_on
from unmask.sampling.constraint import leftmost
from unmask.sampling.decide import commit, propose
from unmask.sampling.doubt import doubt_of, peak_of, said_of
from unmask.sampling.looks import Same, looked
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.settings import ConfidenceSettings
from unmask.sampling.state import Frame, SamplerState, frame
from unmask.sampling.state import part as part_of


@dataclass(frozen=True)
class Confidence:
    """Decide the surest positions of each row."""

    Settings: ClassVar[type[ConfidenceSettings]] = ConfidenceSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"confidence_noise": 1.0},
        {"confidence_of": "drawn"},
        {"confidence_of": "drawn", "confidence_noise": 1.0},
        {"confidence_stop": 0.6},
        {"accept": "entropy", "entropy_budget": 0.0},
        {"accept": "threshold", "sure_above": 0.7},
        {"accept": "threshold", "sure_above": 1.0},
        {"accept": "profile", "doubt_budget": 0.7},
        {"accept": "profile", "doubt_budget": 0.0},
        {"accept": "stable", "sure_above": 0.6, "stable_nats": 0.1, "stable_looks": 1},
        {"accept": "stable", "sure_above": 1.0},
        {"calibrated": True},
    )

    def promise(self, settings: ConfidenceSettings) -> Promise:
        """One position a step is exact if the order depends on visible tokens and on chance alone.

        Ordering by the probability of the token that was *drawn* keeps a likely draw and throws an unlikely one away to
        draw again: biased at any number of steps. So is a stop that fills many positions at once, and a rule that takes
        words which are not certain together.
        """
        free = settings.confidence_of != "drawn" and settings.confidence_stop is None and apart(settings)
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
        part = part_of(state, index)
        answer = answered(model, part, part.open)
        logits = answer.logits
        peak, sure, entropy = _sure(part, logits)
        trust = trust_in(model, part, peak, answer)
        sure = trust(sure)
        looks = None
        if any(s.accept == "stable" for s in part.settings):
            looks = looked(part.looks, part.open, said_of(part, part.open, logits), _near(part))
        kept = leftmost(part, accepted(part, sure, _scores(part, sure, entropy), entropy, looks))

        drawn = propose(part, kept, logits[kept[part.open]])
        chosen = torch.zeros_like(state.open).index_copy(0, index, kept)
        tokens = state.tokens.masked_scatter(chosen, drawn.token)
        told = trust(torch.zeros_like(sure).masked_scatter(kept, drawn.probability))[kept]
        confidence = state.confidence.masked_scatter(chosen, told.to(state.confidence.dtype))
        after = commit(state, chosen, tokens, confidence)
        after = carried_on(model, state, after, part, index, part.open, answer)
        if looks is not None:
            after = replace(after, looks=looks if part is state else renewed(state.looks, looks, index, state.texts))
        after = replace(after, step=state.step + active, forwards=state.forwards + active)
        return after, frame(after, state)


def _sure(
    part: SamplerState, logits: Float[Tensor, "n V"]
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"], Float[Tensor, "B T"] | None]:
    """Return the largest probability at each open position, its confidence, and its entropy where a row needs it."""
    row = part.open.nonzero()[:, 0]

    def those(chosen: list[bool]) -> tuple[Bool[Tensor, "B T"], Bool[Tensor, " n"]]:
        each = torch.tensor(chosen, device=row.device)
        return part.open & each[:, None], each[row]

    of = [s.confidence_of for s in part.settings]
    blank = torch.zeros(part.open.shape, dtype=torch.float64, device=part.tokens.device)
    peak = sure = blank
    entropy = None
    doubtful = [s.accept == "entropy" or s.confidence_of in ("margin", "entropy") for s in part.settings]
    if not all(doubtful):
        peak = sure = blank.masked_scatter(part.open, peak_of(part, part.open, logits))
    if any(doubtful):
        at, asked = those(doubtful)
        doubt = doubt_of(part, at, logits[asked])
        entropy = blank.masked_scatter(at, doubt.entropy)
        peak, margin = peak.masked_scatter(at, doubt.peak), blank.masked_scatter(at, doubt.margin.clamp(min=1e-300))
        for name, found in (("peak", peak), ("margin", margin), ("entropy", (-entropy).exp())):
            sure = torch.where(at & torch.tensor([x == name for x in of], device=row.device)[:, None], found, sure)
    if "drawn" in of:
        at, asked = those([x == "drawn" for x in of])
        sure = sure.masked_scatter(at, propose(part, at, logits[asked]).probability)
    return peak, sure, entropy


def _near(part: SamplerState) -> Same:
    """Return what tells whether KL(now | before) at each open position is within its row's bound."""
    most = part.setting("stable_nats")[part.open.nonzero()[:, 0]]

    def near(now: Float[Tensor, "n V"], before: Float[Tensor, "n V"]) -> Bool[Tensor, " n"]:
        p = now.exp()
        return torch.where(p > 0, p * (now - before), 0.0).sum(-1) <= most

    return near


def _scores(
    state: SamplerState, sure: Float[Tensor, "B T"], entropy: Float[Tensor, "B T"] | None
) -> Float[Tensor, "B T"]:
    """Return log-confidence, with Gumbel noise that fades as the canvas fills."""
    score = sure.log()
    if entropy is not None:  # the log of its exp, to the last bit
        own = torch.tensor([s.confidence_of == "entropy" for s in state.settings], device=sure.device)
        score = torch.where(own[:, None], -entropy, score)
    scale = state.setting("confidence_noise").clamp(max=1e300)  # times the largest Gumbel number, 38, it is finite
    if bool((scale > 0).any()):
        u = state.noise.uniform("confidence", score.shape[1]).clamp(min=2.0**-54)
        share = state.open.sum(1) / state.total.clamp(min=1)
        score = score + (scale * share)[:, None] * -(-u.log()).log()
    return score
