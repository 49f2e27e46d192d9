"""The reverse process of uniform-state diffusion on a grid of N times, and a Gibbs corrector.

Open positions show words from the start, drawn evenly, and each of them may change in every step. From noise r to
s < r, z is what is shown at a position, x(.) what the network believes of it from all the others, N the count of words:

    p(y) ~ q_s(y) p(z | y)      q_s(y) = (1 - s) x(y) + s / N
                                p(z | y) = k [z = y] + (1 - k) / N,   k = (1 - r) / (1 - s)

(Austin et al. 2021, arXiv 2107.03006, with the network's answer as in ``diffusion.uniform``.) At s = 0 that is x(y)
weighed by what is shown. The words of a step are drawn side by side; a *correction* then draws one word given all the
others at noise s, y ~ q_s, which leaves the distribution of noised texts as it is (Campbell et al. 2022, arXiv
2205.14987, correct whole texts at a time; one at a time needs no small step).

The canvas is noisy to the last, so what it shows tells nobody when it is finished. What the network holds likeliest
does: with ``stop_after`` k the step that finds it the same at all positions for the k-th time in a row, in k + 1
answers, goes to s = 0.

Letters: B rows, T positions, V vocabulary, n open positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.diffusion.carried import renewed
from unmask.diffusion.state import Prediction
from unmask.diffusion.uniform import Words
from unmask.sampling.carry import seen
from unmask.sampling.categorical import picked
from unmask.sampling.decide import believed_words, commit
from unmask.sampling.looks import Looks, looked
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.settings import UniformSettings
from unmask.sampling.state import Frame, SamplerState, frame, rows
from unmask.sampling.thought_steps import thought_on


@dataclass(frozen=True)
class UniformReverse:
    """Take noise away step by step; every open word may change until the last one."""

    Settings: ClassVar[type[UniformSettings]] = UniformSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"corrections": 2},
        {"temperature": 0.8},
        {"stop_after": 2},
    )

    def promise(self, settings: UniformSettings) -> Promise:
        """The reverse process, corrected or not; with a sharpened or truncated draw, or a stop, it is another one."""
        return "reverse" if settings.draws_as_told and settings.stop_after is None else "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state; its open positions show words from the first step on."""
        return started(self.Settings, requests, vocabulary)

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Go from noise (N - i) / N to (N - i - 1) / N, or to 0; then everything open is decided."""
        active = ~state.done
        if not bool(active.any()):
            return state, frame(state, state)
        every = bool(active.all())
        index = active.nonzero()[:, 0]
        part = _opened(state if every else rows(state, index))
        steps = part.setting("steps")
        now, then = ((steps - part.step - gone) / steps for gone in (0, 1))
        believed, answer = _believed(model, part, part.open, now)
        looks = None
        if any(own.stop_after for own in part.settings):
            looks = looked(part.looks, part.open, believed.argmax(1, keepdim=True), lambda new, old: (new == old)[:, 0])
            then = torch.where(_settled(part, looks), 0.0, then)
        shown = part.tokens[part.open]
        r, s = (level[part.open.nonzero()[:, 0]] for level in (now, then))
        mass = _noised(part, believed, s)
        keeps = ((1 - r) / (1 - s))[:, None]
        weight = ((1 - keeps) / part.vocabulary.words).expand_as(mass)
        weight = weight.scatter_add(1, shown[:, None], keeps)
        word = picked(mass * weight, part.noise.uniform("token", part.open.shape[1])[part.open])
        trust = believed.gather(1, word[:, None])[:, 0]
        last = then <= 0
        drawn = _told(part, part.open, word, trust, last)
        left = torch.ceil(part.setting("corrections")).long() * (then > 0)
        for number in range(int(left.max())):
            drawn = _corrected(model, drawn, then, number, left > number)
        after = _put(state, drawn, index)
        ends = torch.zeros_like(state.open).index_copy(0, index, part.open & last[:, None])
        after = commit(after, ends, after.tokens, after.confidence)
        if looks is not None:
            after = replace(after, looks=looks if every else renewed(state.looks, looks, index, state.texts))
        after = replace(after, step=state.step + active)
        calls = torch.zeros_like(state.forwards).index_copy(0, index, 1 + left)
        after = replace(after, forwards=state.forwards + calls)
        after = thought_on(model, state, after, answer, index, then)
        return after, replace(frame(after, state), doubtful=True)


def _opened(part: SamplerState) -> SamplerState:
    """Return the state whose rows that take their first step show evenly drawn words where they are open."""
    first = part.open & (part.step == 0)[:, None]
    words = Words(part.vocabulary).draw(part.noise.uniform("word", first.shape[1]))
    return replace(part, tokens=torch.where(first, words, part.tokens))


def _settled(part: SamplerState, looks: Looks) -> Bool[Tensor, " B"]:
    """Return the rows all of whose open positions have been held likeliest the same for as long as they ask."""
    least = looks.still.masked_fill(~part.open, torch.iinfo(torch.int64).max).amin(1)
    return least > torch.tensor([own.stop_after or math.inf for own in part.settings], device=least.device)


def _believed(
    model: Any, part: SamplerState, at: Bool[Tensor, "B T"], level: Float[Tensor, " B"]
) -> tuple[Float[Tensor, "n V"], Prediction]:
    """Ask the network about open positions; return its beliefs under the rows' settings, and its answer."""
    view = seen(model, part)
    length = view.tokens.shape[1]
    each = (part.open * level[:, None])[:, :length]
    predictable = (part.valid & (part.tokens != part.vocabulary.bos)).sum(1).clamp(min=1)
    view = replace(view, level=each.float(), t=(each.sum(1) / predictable).float())
    answer = model(view, at=at[:, :length])
    return believed_words(part, at, answer.logits), answer


def _noised(part: SamplerState, believed: Float[Tensor, "n V"], level: Float[Tensor, " n"]) -> Float[Tensor, "n V"]:
    """Return q_s of every token: what is believed, noised; 0 for tokens that are no words."""
    words = torch.zeros(believed.shape[1], dtype=believed.dtype, device=believed.device)
    words[Words(part.vocabulary).ids.to(words.device)] = 1 / part.vocabulary.words
    return (1 - level)[:, None] * believed + level[:, None] * words


def _corrected(
    model: Any, part: SamplerState, level: Float[Tensor, " B"], number: int, which: Bool[Tensor, " B"]
) -> SamplerState:
    """Draw one open word of each chosen row anew, given all the others."""
    noise = part.noise.fold(torch.full_like(part.step, number))
    among = noise.uniform("place", part.open.shape[1]).masked_fill(~part.open, -1.0)
    at = torch.zeros_like(part.open).scatter(1, among.argmax(1, keepdim=True), True) & part.open & which[:, None]
    believed, _ = _believed(model, part, at, level)
    mass = _noised(part, believed, level[at.nonzero()[:, 0]])
    word = picked(mass, noise.uniform("token", at.shape[1])[at])
    return _told(part, at, word, believed.gather(1, word[:, None])[:, 0])


def _told(
    part: SamplerState, at: Bool[Tensor, "B T"], word: Tensor, trust: Tensor, last: Bool[Tensor, " B"] | None = None
) -> SamplerState:
    """Return the state that shows other words at some positions, still open.

    A word that stays keeps its confidence until the ``last`` step, which chooses it for good.
    """
    tokens = part.tokens.masked_scatter(at, word)
    confidence = part.confidence.masked_scatter(at, trust.to(part.confidence.dtype))
    chosen = (tokens != part.tokens) | (part.confidence == 0)  # 0: no word was chosen here before
    chosen = chosen if last is None else chosen | last[:, None]
    confidence = torch.where(chosen, confidence, part.confidence)
    return replace(part, tokens=tokens, confidence=confidence)


def _put(state: SamplerState, part: SamplerState, index: Tensor) -> SamplerState:
    """Return the state with the words of some of its rows."""
    tokens = state.tokens.index_copy(0, index, part.tokens)
    return replace(state, tokens=tokens, confidence=state.confidence.index_copy(0, index, part.confidence))
