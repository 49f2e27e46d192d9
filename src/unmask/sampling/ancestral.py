"""Ancestral sampling of masked diffusion: the reverse process on a grid of N times, each position on its own.

From t to s < t an open position is decided with probability (t - s) / t (linear schedule; Sahoo et al. 2024,
arXiv 2406.07524, eq. 7), so after N steps all are. *When* a position is decided does not depend on the model; with more
steps than tokens most steps decide nothing, and then the network need not be asked (Zheng et al. 2024,
arXiv 2409.02908).

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from unmask.sampling.carry import answered, carried_on, carries, most_candidates
from unmask.sampling.constraint import leftmost
from unmask.sampling.decide import commit, propose
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.settings import AncestralSettings
from unmask.sampling.state import Frame, SamplerState, frame
from unmask.sampling.state import part as part_of


@dataclass(frozen=True)
class Ancestral:
    """Decide each open position with probability (t - s) / t.

    Attributes:
        skip: Ask the network only for rows that decide something in this step: same text, fewer calls. Rows to which
            each answer leaves something for the next (candidates, thoughts, latents) are asked in every step.
    """

    skip: bool = True

    Settings: ClassVar[type[AncestralSettings]] = AncestralSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"temperature": 0.8},)

    def promise(self, settings: AncestralSettings) -> Promise:
        """Equation 7 step by step; a sharpened or truncated draw is another process."""
        return "reverse" if settings.draws_as_told else "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state."""
        return started(self.Settings, requests, vocabulary)

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Go from t to s; at the last step everything open is decided."""
        active = ~state.done
        left = (state.setting("steps") - state.step).clamp(min=1)  # t = left / N, s = (left - 1) / N
        chance = state.noise.uniform("reveal", state.tokens.shape[1])
        chosen = leftmost(state, state.open & (chance * left[:, None] < 1))
        asked = chosen.any(1) | (active & carries(model, state)) if self.skip else active
        after = decided(model, state, chosen, asked)
        after = replace(after, step=state.step + active, forwards=state.forwards + asked)
        return after, frame(after, state)


def decided(model: Any, state: SamplerState, chosen: Bool[Tensor, "B T"], asked: Bool[Tensor, " B"]) -> SamplerState:
    """Return the state with the chosen open positions drawn and committed.

    Args:
        model: The network.
        state: The state before.
        chosen: Open positions that are decided now, whatever the network says of them.
        asked: Rows whose network is asked, among them all that decide something.
    """
    if not bool(asked.any()):
        return state
    index = asked.nonzero()[:, 0]
    part = part_of(state, index)
    at = chosen if part is state else chosen[index]
    # Candidates come from the answer at every open position; without them only the decided ones are asked.
    ask = part.open if most_candidates(model, part) else at
    answer = answered(model, part, ask)
    logits = answer.logits
    drawn = propose(part, at, logits if ask is at else logits[at[ask]])
    tokens = state.tokens.masked_scatter(chosen, drawn.token)
    confidence = state.confidence.masked_scatter(chosen, drawn.probability.to(state.confidence.dtype))
    after = commit(state, chosen, tokens, confidence)
    return carried_on(model, state, after, part, index, ask, answer)
