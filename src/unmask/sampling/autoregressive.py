"""Left to right, one token a step, for causal models; the key-value cache's rows advance on their own.

Letters: B rows, T positions, n new tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.models.cache import Cache
from unmask.sampling.decide import commit, propose
from unmask.sampling.repetition import as_the_model_says, penalised
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.settings import AutoregressiveSettings
from unmask.sampling.state import Frame, SamplerState, frame
from unmask.sampling.thought_steps import in_mind, remembers, thought_on

PADDING = 32
"""Tokens of padding in a call that cost less than a call more."""


@dataclass(frozen=True)
class Autoregressive:
    """Draw the next token of each row.

    Attributes:
        use_cache: Keep keys and values of what was read. Without it, for a model that keeps none (it has no
            ``new_cache``) or has thoughts, or a text with retrieved memory, each step reads the whole text again: same
            text, slower.
    """

    use_cache: bool = True

    Settings: ClassVar[type[AutoregressiveSettings]] = AutoregressiveSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"temperature": 0.8},
        {"top_p": 0.9},
        {"repetition_penalty": 1.2},
    )

    def promise(self, settings: AutoregressiveSettings) -> Promise:
        """The chain rule is exact; a sharpened or truncated draw is not."""
        return "exact" if settings.draws_as_told else "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state.

        Raises:
            Error: given text after an open position.
        """
        return without_suffix(started(self.Settings, requests, vocabulary))

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Decide the first open position of each row."""
        active = ~state.done
        if not bool(active.any()):
            return state, frame(state, state)
        at = state.open & (state.open.long().cumsum(1) == 1)
        cache, answer = state.cache, None
        if self.use_cache and hasattr(model, "new_cache") and not remembers(model) and state.memory is None:
            logits, cache = _read_new(model, state, at)
        else:  # a thought changes from step to step, and all that was read with it
            answer = read_all(model, state, at)
            logits = answer.logits
        chosen_by = penalised(state, at, logits)
        drawn = propose(state, at, chosen_by)
        if chosen_by is not logits:
            drawn = as_the_model_says(state, at, logits, drawn)
        tokens = state.tokens.masked_scatter(at, drawn.token)
        confidence = state.confidence.masked_scatter(at, drawn.probability.to(state.confidence.dtype))
        after = commit(state, at, tokens, confidence)
        if answer is not None:
            after = thought_on(model, state, after, answer, torch.arange(len(active), device=active.device))
        after = replace(after, step=state.step + active, forwards=state.forwards + active, cache=cache)
        return after, frame(after, state)


def without_suffix(state: SamplerState) -> SamplerState:
    """Return an opening state that can be written left to right.

    Raises:
        Error: given text after an open position.
    """
    seen_open = state.open.long().cumsum(1) > 0
    if bool((state.fixed & state.valid & seen_open).any()):
        raise Error(
            "an autoregressive model writes left to right and cannot take a suffix or fill holes; "
            "use a run of the masked process."
        )
    return state


def read_all(model: Any, state: SamplerState, at: Bool[Tensor, "B T"]) -> Prediction:
    """Return the answer at the asked positions from the whole texts. What lies to the right is never attended to."""
    length = int(at.nonzero()[:, 1].max()) + 1
    view = in_mind(model, state, State(state.tokens[:, :length], "causal", **state.shown(length)))
    answer: Prediction = model(view, at=at[:, :length])
    return answer


def _read_new(model: Any, state: SamplerState, at: Bool[Tensor, "B T"]) -> tuple[Float[Tensor, "n V"], Cache]:
    """Return logits at the asked positions from the tokens that the cache has not seen, and the cache after them.

    Texts that have just come, with a long prompt to read, are read apart from those with a new word each, which would
    be padded to it.
    """
    old: Cache = state.cache or model.new_cache(*state.tokens.shape)
    cache = old.rewound(old.lengths.clone())  # the model advances the lengths of its cache
    active = at.any(1)
    target = torch.where(active, at.long().argmax(1), cache.lengths)
    fresh = target - cache.lengths
    come = fresh > 1
    going = active & ~come
    cheap = int(fresh.max()) * len(fresh) - int(fresh.sum()) <= PADDING
    whole = cheap or not hasattr(cache, "part")  # a byte network's cache has no parts: its texts are padded
    if whole or not (bool(come.any()) and bool(going.any())):
        prediction = _read_on(model, state.tokens, cache, fresh)
        return prediction.logits[active], prediction.cache
    found: list[Tensor] = []
    parts = [rows.nonzero()[:, 0] for rows in (come, going)]
    for index in parts:
        prediction = _read_on(model, state.tokens[index], cache.part(index), fresh[index])
        cache = cache.put(index, prediction.cache)
        found.append(prediction.logits)
    return torch.cat(found)[torch.cat(parts).argsort()], cache


def _read_on(model: Any, tokens: Int[Tensor, "B T"], cache: Cache, fresh: Int[Tensor, " B"]) -> Prediction:
    """Return what the model says behind the next ``fresh`` tokens of each text."""
    column = torch.arange(int(fresh.max()), device=fresh.device)[None]
    source: Int[Tensor, "B n"] = (cache.lengths[:, None] + column).clamp(max=tokens.shape[1] - 1)
    view = State(tokens.gather(1, source), "causal", valid=column < fresh[:, None])
    answer: Prediction = model(view, cache=cache)
    return answer
