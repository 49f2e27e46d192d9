"""Text of any length: window after window, each as long as the context and opened by the end of the text before it.

A window is a canvas of its own for the sampler: BOS, the last ``overlap`` of the context as given words, and open
positions for the rest. Its steps and settings are those of any canvas, its noise is its own (the first one's is that of
a text that fits), and an end of text inside it ends the text. A causal model may go on in other ways (``beyond``):

    reread   the window is read anew: what its words see reaches back to the window's own beginning, as in training
    sinks    keys and values stay, those behind the first few go, and the others are turned back to their new places:
             they still carry what they once saw (Xiao et al. 2023, arXiv 2309.17453)
    stretch  one window of any length: positions go on beyond those of training

Rows of a batch are in different windows. What is told of them is the whole text so far (:mod:`unmask.sampling.whole`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from unmask.errors import Error
from unmask.sampling.checks import Checked
from unmask.sampling.passages import part_index
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Sampler
from unmask.sampling.settings import Settings
from unmask.sampling.state import SamplerState, rows, stack
from unmask.sampling.thought_steps import remembers
from unmask.sampling.whole import Past

SINKS = 4
"""First tokens of a text, BOS among them, whose keys and values stay (``beyond: sinks``)."""


def context_of(model: Any) -> int | None:
    """Return the longest canvas of a model; ``None``: it has no bound."""
    context = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return None if context is None else int(context)


def shown_again(settings: Settings, context: int) -> tuple[int, int]:
    """Return how many of a text's first tokens stand at a later window's beginning, and how many of its last."""
    first = min(SINKS if _beyond(settings) == "sinks" else 1, context - 1)
    return first, min(int(settings.overlap * context), context - 1 - first)


def seen_of(given: int, wanted: int, settings: Settings, context: int) -> int:
    """Return how many of a prompt's tokens, BOS among them, the first word is written with.

    Args:
        given: Tokens of the prompt, BOS among them.
        wanted: Most tokens to write.
        settings: How to write.
        context: Longest canvas.
    """
    whole = given < context or given + wanted <= context or _beyond(settings) == "stretch"
    return given if whole else sum(shown_again(settings, context))


class Windows:
    """The windows of texts that come and go.

    Args:
        model: The network.
        sampler: What writes a window.
        vocabulary: The special tokens.
    """

    def __init__(self, model: Any, sampler: Sampler, vocabulary: Vocabulary) -> None:
        self._model, self._sampler, self._vocabulary = model, sampler, vocabulary
        self._context = context_of(model)
        self._requests: dict[int, Request] = {}
        self._given: dict[int, int] = {}

    def check(self, request: Request) -> None:
        """Refuse a canvas that cannot be written.

        Raises:
            Error: one longer than the context with given words behind open ones, or a way to go on that the model does
                not have.
        """
        if self._fits(request):
            return
        if any(token != self._vocabulary.mask for token in request.tokens[self._before(request) :]):
            raise Error(
                f"a canvas of {len(request.tokens)} tokens with text behind what is written does not fit into the "
                f"model's context of {self._context}; shorten it."
            )
        if request.constraint is not None and request.constraint.words:
            raise Error(
                f"a canvas of {len(request.tokens)} tokens with places for given words does not fit into the model's "
                f"context of {self._context}; shorten it."
            )
        if _beyond(request.settings) == "sinks":
            _check_cache(self._model, self._sampler, request)

    def start(self, texts: Mapping[int, Request], device: torch.device | str) -> tuple[SamplerState, tuple[Past, ...]]:
        """Return the opening state of texts that come, and what lies before it: the beginning of a long prompt."""
        opened = [self._opening(request, self._before(request)) for request in texts.values()]
        state = self._sampler.start([request for request, _ in opened], self._vocabulary).to(device)
        for number, request in texts.items():
            self.keep(number, request)
        return state, tuple(past for _, past in opened)

    def keep(self, number: int, request: Request) -> None:
        """Keep what was asked of a text."""
        self._requests[number], self._given[number] = request, self._before(request)

    def request(self, number: int) -> Request:
        """Return what was asked of a text."""
        return self._requests[number]

    def forget(self, which: Iterable[int]) -> None:
        """Let go of texts."""
        for number in which:
            del self._requests[number], self._given[number]

    def width(self, request: Request) -> int:
        """Return the positions of a text's longest window."""
        whole = len(request.tokens)
        return whole if self._context is None or self._fits(request) else self._context

    def go_on(self, which: Sequence[int], state: SamplerState, past: tuple[Past, ...]) -> list[bool]:
        """Tell of each row whether its window is finished and there is more to write."""
        done = state.done.tolist()
        return [done[row] and self._goes_on(number, state, past[row], row) for row, number in enumerate(which)]

    def on(
        self, which: Sequence[int], state: SamplerState, past: tuple[Past, ...]
    ) -> tuple[SamplerState, tuple[Past, ...]]:
        """Return the state whose rows with a finished window, and more to write, are at the next window's opening."""
        ready = {row for row, more in enumerate(self.go_on(which, state, past)) if more}
        if not ready:
            return state, past
        states, pasts = [], list(past)
        for row, number in enumerate(which):
            if row in ready:
                opened, pasts[row] = self._next(number, state, past[row], row)
                states.append(opened)
            else:
                states.append(rows(state, [row]))
        return stack(states), tuple(pasts)

    def _fits(self, request: Request) -> bool:
        whole = self._context is None or len(request.tokens) <= self._context
        return whole or _beyond(request.settings) == "stretch" and self._sampler.Settings.visibility == "causal"

    def _before(self, request: Request) -> int:
        """Return how many given tokens stand before the first open position."""
        mask, tokens = self._vocabulary.mask, request.tokens
        return tokens.index(mask) if mask in tokens else len(tokens)

    def _opening(self, request: Request, given: int) -> tuple[Request, Past]:
        if self._context is None or self._fits(request):
            return request, Past()
        if given < self._context:
            return replace(request, tokens=request.tokens[: self._context]), Past()
        first, last = shown_again(request.settings, self._context)
        tokens = request.tokens[:given]
        past = Past(tokens, (1.0,) * given, given, first + last)
        lead = frozenset(place - given + past.own for place in request.lead)
        return replace(request, tokens=self._canvas(request, past), lead=lead), past

    def _canvas(self, request: Request, past: Past) -> tuple[int, ...]:
        assert self._context is not None
        first, last = shown_again(request.settings, self._context)
        room = min(self._context - past.own, len(request.tokens) - len(past.tokens))
        shown = past.tokens[:first] + past.tokens[len(past.tokens) - last :]
        return shown + (self._vocabulary.mask,) * room

    def _goes_on(self, number: int, state: SamplerState, past: Past, row: int) -> bool:
        written = int(state.valid[row].sum())
        reached = len(past.tokens) + written - past.own
        last = int(state.tokens[row, written - 1])
        return reached < len(self._requests[number].tokens) and last != self._vocabulary.eos

    def _next(self, number: int, state: SamplerState, past: Past, row: int) -> tuple[SamplerState, Past]:
        assert self._context is not None
        asked = self._requests[number]
        first, last = shown_again(asked.settings, self._context)
        after = Past(
            tokens=past.tokens + tuple(state.tokens[row, past.own : self._context].tolist()),
            confidence=past.confidence + tuple(state.confidence[row, past.own : self._context].tolist()),
            given=past.given or self._given[number],
            own=first + last,
            number=past.number + 1,
            steps=past.steps + int(state.step[row]),
            forwards=past.forwards + int(state.forwards[row]),
            checked=_checked_so_far(state, past, row),
        )
        index = part_index(asked, after.number)
        own = asked.constraint and replace(asked.constraint, read=after.tokens[after.given :])
        request = replace(asked, tokens=self._canvas(asked, after), lead=frozenset(), index=index, constraint=own)
        opened = self._sampler.start([request], self._vocabulary).to(state.tokens.device)
        if _beyond(asked.settings) == "sinks" and state.cache is not None:
            cache = self._model.rolled(state.cache.rows(torch.tensor([row])), first, self._context - first - last)
            opened = replace(opened, cache=cache)
        return opened, after


def _checked_so_far(state: SamplerState, past: Past, row: int) -> Checked | None:
    """Return what a verifier has said of a text up to the end of its window."""
    if state.checks is None:
        return None
    now, before = state.checks.of_row(row, state.valid[row]), past.checked
    if before is None:
        before = Checked((0,) * len(past.tokens), 0, 0, 0)
    return Checked(
        before.verdicts + now.verdicts[past.own :],
        before.calls + now.calls,
        before.read + now.read,
        before.proposed + now.proposed,
    )


def _beyond(settings: Settings) -> str:
    return str(getattr(settings, "beyond", "reread"))


def _check_cache(model: Any, sampler: Any, request: Request) -> None:
    """Raise Error where a text is written without keys and values that can be turned."""
    plain = getattr(sampler, "use_cache", False) and not remembers(model) and request.memory is None
    if not hasattr(model, "rolled") or not plain:
        raise Error(
            f"beyond is sinks, and {type(model).__name__} keeps no keys and values here that can be turned to other "
            "places; use reread."
        )
