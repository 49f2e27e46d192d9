"""A sampler: one open position a step, any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from pydantic import Field

from unmask.sampling.ancestral import decided
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import started
from unmask.sampling.settings import Settings
from unmask.sampling.state import SamplerState, frame


class ToySettings(Settings):
    """What every sampler reads, and how many words are written before places are drawn at random."""

    name: ClassVar[str] = "toy"
    about: ClassVar[str] = "one position a step, any of them"

    in_order: int = Field(0, ge=0, description="words that are written left to right first")


@dataclass(frozen=True)
class Toy:
    """Decide a random open position of each row."""

    Settings = ToySettings
    variants = ({"temperature": 0.8},)

    def promise(self, settings: ToySettings) -> str:
        return "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        return started(self.Settings, requests, vocabulary)

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> Any:
        active = ~state.done
        first = state.open & (state.open.long().cumsum(1) == 1) & (state.step < state.setting("in_order"))[:, None]
        among = (
            state.noise.uniform("place", state.tokens.shape[1]).masked_fill(~state.open, -1.0).masked_fill(first, 2.0)
        )
        chosen = torch.zeros_like(state.open).scatter(1, among.argmax(1, keepdim=True), True) & state.open
        after = decided(model, state, chosen, active)
        after = replace(after, step=state.step + active, forwards=state.forwards + active)
        return after, frame(after, state)
