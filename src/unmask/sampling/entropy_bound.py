"""Entropy-bounded sampling: in each step decide as many positions as may be drawn apart from each other (EB-Sampler).

Positions U that are drawn independently of each other, and not one after the other, differ from the model's own joint
distribution of them by at most

    KL(p(x_U) | prod_i p(x_i)) <= sum_{i in U} H(x_i) - max_{i in U} H(x_i)

with H the entropy of each given what is visible. The open positions of a row are ordered by how sure the model is of
them, before anything is drawn, and the longest prefix whose right-hand side is at most a budget is decided; one
position always is. So a text takes as many steps as it needs: sure words go together, doubtful ones alone. Over a whole
text the error is at most the budget times the number of steps (chain rule). With a budget of 0 only words without any
doubt go together with another, which is the chain rule itself. Source: Ben-Hamu et al. 2025, arXiv 2505.24857.

It is ``confidence`` with ``accept: entropy`` and no ``steps`` to keep to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from unmask.sampling.confidence import Confidence
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.settings import EntropyBoundSettings
from unmask.sampling.state import Frame, SamplerState


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

    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Order the open positions, draw at those that the budget allows."""
        own = replace(state, settings=tuple(settings.alike for settings in state.settings))
        after, frame = Confidence().step(model, own)
        return replace(after, settings=state.settings), frame
