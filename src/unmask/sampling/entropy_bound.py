"""Entropy-bounded sampling: in each step decide as many positions as may be drawn apart from each other (EB-Sampler).

Positions U that are drawn independently of each other, and not one after the other, differ from the model's own joint
distribution of them by at most

    KL(p(x_U) | prod_i p(x_i)) <= sum_{i in U} H(x_i) - max_{i in U} H(x_i)

with H the entropy of each given what is visible. The open positions of a row are ordered by how sure the model is of
them, before anything is drawn, and the longest prefix whose right-hand side is at most a budget is decided; one
position always is. So a text takes as many steps as it needs: sure words go together, doubtful ones alone. Over a whole
text the error is at most the budget times the number of steps (chain rule). With a budget of 0 only words without any
doubt go together with another, which is the chain rule itself. Source: Ben-Hamu et al. 2025, arXiv 2505.24857.

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.sampling.carry import answered, carried_on
from unmask.sampling.decide import commit, propose
from unmask.sampling.doubt import doubt_of
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.settings import EntropyBoundSettings
from unmask.sampling.state import Frame, SamplerState, frame, rows


@dataclass(frozen=True)
class EntropyBound:
    """Decide the surest positions of each row, as many as the entropy budget allows."""

    Settings: ClassVar[type[EntropyBoundSettings]] = EntropyBoundSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"entropy_budget": 0.0},
        {"entropy_budget": 1.0},
        {"entropy_budget": 1.0, "error_proxy": "margin"},
        {"entropy_budget": 1.0, "error_proxy": "entropy"},
    )

    def promise(self, settings: EntropyBoundSettings) -> Promise:
        """Without a budget: the chain rule, in an order that depends on visible tokens alone."""
        return "exact" if settings.entropy_budget == 0 and settings.draws_as_told else "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state."""
        return started(self.Settings, requests, vocabulary)

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Order the open positions, draw at those that the budget allows."""
        active = ~state.done
        if not bool(active.any()):
            return state, frame(state, state)
        index = active.nonzero()[:, 0]
        part = state if bool(active.all()) else rows(state, index)
        answer = answered(model, part, part.open)
        logits = answer.logits
        doubt = doubt_of(part, part.open, logits)
        blank = torch.zeros(part.open.shape, dtype=torch.float64, device=part.tokens.device)
        entropy, peak, margin = (blank.masked_scatter(part.open, x) for x in (doubt.entropy, doubt.peak, doubt.margin))
        proxy = [s.error_proxy for s in part.settings]
        error = -peak
        for name, other in (("margin", -margin), ("entropy", entropy)):
            if name in proxy:
                own = torch.tensor([p == name for p in proxy], device=blank.device)
                error = torch.where(own[:, None], other, error)
        kept = within_budget(part.open, error, entropy, part.setting("entropy_budget"))

        drawn = propose(part, kept, logits[kept[part.open]])
        chosen = torch.zeros_like(state.open).index_copy(0, index, kept)
        tokens = state.tokens.masked_scatter(chosen, drawn.token)
        confidence = state.confidence.masked_scatter(chosen, drawn.probability.to(state.confidence.dtype))
        after = commit(state, chosen, tokens, confidence)
        after = carried_on(model, state, after, part, index, part.open, answer)
        after = replace(after, step=state.step + active, forwards=state.forwards + active)
        return after, frame(after, state)


def within_budget(
    opened: Bool[Tensor, "B T"],
    error: Float[Tensor, "B T"],
    entropy: Float[Tensor, "B T"],
    budget: Float[Tensor, " B"],
) -> Bool[Tensor, "B T"]:
    """Return the longest prefix of each row's open positions, in order of error, that the budget allows.

    Args:
        opened: Open positions.
        error: What orders them, least first; the leftmost of equals.
        entropy: Nats of each.
        budget: Most that the sum of entropies may exceed the largest of them.
    """
    order = error.masked_fill(~opened, torch.inf).argsort(dim=1, stable=True)
    nats = entropy.masked_fill(~opened, 0.0).gather(1, order)
    together = nats.cumsum(1) - nats.cummax(1).values  # never falls along the prefix; 0 for one position
    return torch.zeros_like(opened).scatter(1, order, together <= budget[:, None]) & opened
