"""The sampler of ``sparse_flatten``: positions carry K candidates from noise to text, and none is decided on the way.

Step i of N shows the network all open positions with their candidates at t = 1 - i/N, and makes its answer the next
state: the K most probable tokens of the softmax at the given temperature, with their values. The start is K random
tokens of mass 1/V each; the end takes the likeliest token everywhere. There is no noise after the start (``renoise``
adds it), so positions never react to each other's choices, only to each other's posteriors: nobody knows a
distribution that this draws from.

Letters: B rows, T positions, K candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.flatten import flattened
from unmask.diffusion.schedules import cosine
from unmask.diffusion.sparse import top_candidates
from unmask.diffusion.state import SparseState
from unmask.sampling.carry import carried
from unmask.sampling.decide import commit, forbidden_at, propose, temperature_of
from unmask.sampling.doubt import peak_of
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, masked_view, started
from unmask.sampling.settings import FlattenSettings
from unmask.sampling.state import Frame, SamplerState, frame, rows


@dataclass(frozen=True)
class Flatten:
    """Denoise the candidates of all positions together."""

    Settings: ClassVar[type[FlattenSettings]] = FlattenSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"renoise": "kept"}, {"renoise": "replaced"})

    def promise(self, settings: FlattenSettings) -> Promise:
        """None: a posterior is no state of the forward process, and a text drawn whole is no sample of a joint."""
        return "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state."""
        return started(self.Settings, requests, vocabulary)

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Go from t to t - 1/N; at the last step everything open is decided."""
        active = ~state.done
        if not bool(active.any()):
            return state, frame(state, state)
        config = getattr(model, "config", None)
        count = int(getattr(config, "candidates", 0))  # 0: the answer alone is kept, and only at the end
        index = active.nonzero()[:, 0]
        part = state if bool(active.all()) else rows(state, index)
        steps = part.setting("steps")
        level = ((steps - part.step) / steps).clamp(min=0)
        if count and (part.candidates is None or bool((part.step == 0).any())):
            part = replace(part, candidates=_opening(part, count, int(config.vocab_size)))
        view = masked_view(part)
        logits = model(replace(view, t=level), at=part.open[:, : view.tokens.shape[1]]).logits
        logits = logits.masked_fill(forbidden_at(part, part.open, logits), -torch.inf)
        token, probability = logits.argmax(-1), peak_of(part, part.open, logits)
        redrawn = torch.tensor([s.renoise is not None for s in part.settings], device=token.device)
        if bool(redrawn.any()):
            at = part.open & redrawn[:, None]
            here = at[part.open]
            drawn = propose(part, at, logits[here])
            token = token.masked_scatter(here, drawn.token)
            probability = probability.masked_scatter(here, drawn.probability)
        last = part.step + 1 >= steps
        given = self._next(part, logits, token, level - 1 / steps, count) if count else None
        tokens = state.tokens.masked_scatter(state.open, token)
        confidence = state.confidence.masked_scatter(state.open, probability.to(state.confidence.dtype))
        ends = torch.zeros_like(state.open).index_copy(0, index, part.open & last[:, None])
        after = commit(state, ends, tokens, confidence)
        after = replace(after, candidates=carried(after, state.candidates, given, index))
        after = replace(after, step=state.step + active, forwards=state.forwards + active)
        return after, frame(after, state)

    def _next(
        self, part: SamplerState, logits: Float[Tensor, "n V"], drawn: Tensor, level: Float[Tensor, " B"], count: int
    ) -> SparseState:
        """Return the candidates of the next state: the tempered answer's best, or a drawn text noised again."""
        kinds = [s.renoise for s in part.settings]
        warm = temperature_of(part).clamp(min=1e-4)[part.open.nonzero()[:, 0]]
        found = top_candidates(logits / warm[:, None], part.open, count)
        if all(kind is None for kind in kinds):
            return found
        noise = part.noise
        n = cosine(level.clamp(min=0))
        swap = torch.tensor([kind == "replaced" for kind in kinds], device=n.device)
        gone = (noise.uniform("replace", part.open.shape[1]) < n[:, None]) & part.open & swap[:, None]
        text = part.tokens.masked_scatter(part.open, drawn)
        again = flattened(text, gone, n, noise, count, logits.shape[1])
        fed = torch.tensor([kind is None for kind in kinds], device=n.device)[:, None, None]
        return SparseState(torch.where(fed, found.tokens, again.tokens), torch.where(fed, found.mass, again.mass))


def _opening(part: SamplerState, count: int, vocabulary: int) -> SparseState:
    """Return K random tokens of mass 1/V at every open position of the rows that take their first step."""
    first = part.open & (part.step == 0)[:, None]
    ones = torch.ones(len(first), dtype=torch.float64, device=first.device)
    fresh = flattened(part.tokens, first, ones, part.noise, count, vocabulary)
    mass = fresh.mass * first[..., None]
    if part.candidates is None:
        return SparseState(fresh.tokens, mass)
    old, here = part.candidates, first[..., None]
    return SparseState(torch.where(here, fresh.tokens, old.tokens), torch.where(here, mass, old.mass))
