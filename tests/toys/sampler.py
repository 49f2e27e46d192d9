"""A sampler: one open position a step, any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from unmask.sampling.ancestral import decided
from unmask.sampling.request import Request, Settings, Vocabulary
from unmask.sampling.sampler import started
from unmask.sampling.state import SamplerState, frame


@dataclass(frozen=True)
class Toy:
    """Decide a random open position of each row."""

    name = "toy"
    visibility = "bidirectional"
    shows = "mask"
    uses = frozenset({"temperature", "top_k", "top_p", "seed", "ignore_eos", "candidates"})
    variants = ({"temperature": 0.8},)

    def promise(self, settings: Settings) -> str:
        return "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        return started(type(self), requests, vocabulary)

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> Any:
        active = ~state.done
        among = state.noise.uniform("place", state.tokens.shape[1]).masked_fill(~state.open, -1.0)
        chosen = torch.zeros_like(state.open).scatter(1, among.argmax(1, keepdim=True), True) & state.open
        after = decided(model, state, chosen, active)
        after = replace(after, step=state.step + active, forwards=state.forwards + active)
        return after, frame(after, state)
