"""The block that each row writes in, and what a network sees of it.

Every block sees the finished text before it, whose keys and values are kept; the words of a finished block enter this
cache in the call that answers the first step of the next one. A block is always shown whole, as in training
(:mod:`unmask.diffusion.block_layout`): behind the canvas it shows masks that nobody decides, behind an end of text more
ends.

Letters: B rows, T positions, L places up to the last block's end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.diffusion.carried import Carried, Texts
from unmask.diffusion.random_mask import with_random_mask
from unmask.diffusion.state import Prediction, State

if TYPE_CHECKING:
    from unmask.models.cache import Cache
    from unmask.sampling.state import SamplerState


@dataclass(frozen=True)
class Span(Carried):
    """The block that each row writes in; all 0 before its first one.

    Attributes:
        begin: Its first position.
        until: The position behind its last, which may lie behind the canvas.
        since: Steps that were taken before it was begun.
        opened: Positions of it that were open then.
    """

    begin: Int[Tensor, " B"]
    until: Int[Tensor, " B"]
    since: Int[Tensor, " B"]
    opened: Int[Tensor, " B"]


def answered_in_block(model: Any, state: SamplerState, at: Bool[Tensor, "B T"]) -> Prediction:
    """Return what the model says of open positions of each row's block, and the cache with the text before it.

    Args:
        model: The network.
        state: Rows that are each written as if their block were the last of the canvas.
        at: The positions.
    """
    span = _span(state)
    tokens = _whole_blocks(state, span)
    asked = pad(at, (0, tokens.shape[1] - at.shape[1]))
    if state.cache is None:
        return _read_all(model, state, tokens, asked)
    first = asked.gather(1, span.begin[:, None])[:, 0]  # its logits are those of the word before the block
    start = torch.minimum(state.cache.lengths, span.begin - first.long())
    column = start[:, None] + torch.arange(int((span.until - start).max()), device=start.device)
    valid = column < span.until[:, None]
    place = column.clamp(max=tokens.shape[1] - 1)
    view = State(tokens.gather(1, place), "block", valid=valid, block=_starts(model, span, column))
    view = masks_shown(model, state, view)
    answer: Prediction = model(view, at=asked.gather(1, place) & valid, cache=state.cache.rewound(start))
    return replace(answer, cache=answer.cache.rewound(span.begin))


def _starts(model: Any, span: Span, column: Int[Tensor, "b n"]) -> Int[Tensor, "B n"]:
    """Return where the block of each place begins; text before the row's block is read word by word, or in blocks."""
    begin = span.begin[:, None]
    if not getattr(getattr(model, "config", None), "block_context", False):
        return torch.minimum(column, begin)
    size = (span.until - span.begin)[:, None].clamp(min=1)
    inside = torch.where(column > 0, (column - 1) % size, 0)
    return torch.minimum(column - inside, begin)


def masks_shown(model: Any, state: SamplerState, view: State) -> State:
    """Return what a model sees with the random vectors of its masks, if it was trained with any."""
    config = getattr(model, "config", None)
    if not getattr(config, "random_mask", 0):
        return view
    return with_random_mask(view, state.vocabulary.mask, state.key, getattr(config, "random_mask_words", 0))


def roomy(model: Any, state: SamplerState) -> Cache:
    """Return the state's cache, with room for the last block of each row."""
    span = _span(state)
    room = state.tokens.shape[1] + int((span.until - span.begin).max())
    if state.cache is None:
        made: Cache = model.new_cache(len(state.tokens), room)
        return made
    if state.cache.capacity >= int(span.until.max()):
        return state.cache
    none = Texts(state.key[:0], room)
    return type(state.cache).join([state.cache, state.cache.blank(none)], [state.texts, none])


def _span(state: SamplerState) -> Span:
    assert state.span is not None, "the rows are not written in blocks"
    return state.span


def _whole_blocks(state: SamplerState, span: Span) -> Int[Tensor, "B L"]:
    """Return the text of each row, its block shown whole."""
    ends = state.valid & ~state.open & (state.tokens == state.vocabulary.eos)
    column = torch.arange(ends.shape[1], device=ends.device)
    ended = (ends & (column >= span.begin[:, None])).any(1)
    behind = torch.where(ended, state.vocabulary.eos, state.vocabulary.mask)[:, None]
    grown = (0, max(int(span.until.max()) - ends.shape[1], 0))
    return torch.where(pad(state.valid, grown), pad(state.tokens, grown), behind)


def _read_all(model: Any, state: SamplerState, tokens: Int[Tensor, "B L"], at: Bool[Tensor, "B L"]) -> Prediction:
    """Answer from the whole texts up to their blocks' ends."""
    span = _span(state)
    column = torch.arange(int(span.until.max()), device=tokens.device)
    valid = column < span.until[:, None]
    view = State(
        tokens[:, : len(column)].masked_fill(~valid, state.vocabulary.pad),
        "block",
        valid=None if bool(valid.all()) else valid,
        block=_starts(model, span, column[None]),
    )
    answer: Prediction = model(masks_shown(model, state, view), at=at[:, : len(column)])
    return answer
