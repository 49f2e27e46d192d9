"""Deciding positions: draw proposals, commit the chosen ones, end the text, take words back, let the user lock one.

Letters: B rows, T positions, V vocabulary, n asked positions.
"""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.errors import Error
from unmask.sampling.categorical import Drawn, draw, shaped
from unmask.sampling.constraint import barred, check_locked, turns
from unmask.sampling.settings import SteppedSettings
from unmask.sampling.state import SamplerState


def reopen(state: SamplerState, taken: Bool[Tensor, "B T"]) -> SamplerState:
    """Return the state with some words taken back: open positions, whose next word is a word again.

    Whether and where a text ends is decided once. Were the end reopened, a whole tail would be all noise again with
    the few steps that are left; were it final while words are drawn again and again, each of them would have as many
    chances to become an end, and texts would grow shorter with every step. So a position becomes an end at its first
    draw or never, and texts are as long as those of a sampler that reopens nothing.
    """
    return replace(
        state,
        tokens=state.tokens.masked_fill(taken, state.vocabulary.mask),
        open=state.open | taken,
        reopened=state.reopened | taken,
        confidence=state.confidence.masked_fill(taken, 0.0),
    )


def lock(state: SamplerState, row: int, position: int, token: int) -> SamplerState:
    """Return the state with a word that the user chose, between steps. It is never changed from then on.

    Locking EOS ends the text there. A causal model reads the word again when it goes on; words after it stay.

    Raises:
        Error: a position outside the text or given by the user, a special token, an end of text before given words,
            or a word that does not fit what the text must be.
    """
    vocabulary = state.vocabulary
    if not (0 <= row < len(state.tokens) and 0 <= position < state.tokens.shape[1]) or not state.valid[row, position]:
        raise Error(f"position {position} of row {row} is not part of the text.")
    if state.fixed[row, position]:
        raise Error(f"position {position} of row {row} was given by the user and cannot be changed.")
    if token in (vocabulary.pad, vocabulary.bos, vocabulary.mask):
        raise Error(f"token {token} is a special token and cannot be locked.")
    chosen = torch.zeros_like(state.open)
    chosen[row, position] = True
    if token == vocabulary.eos and not may_end(state)[row, position]:
        raise Error(f"the text cannot end at position {position}: given words follow.")
    check_locked(state, row, position, token)
    after = commit(state, chosen, torch.full_like(state.tokens, token), torch.ones_like(state.confidence))
    cache = state.cache
    if cache is not None:  # what was read from here on was read with the old word
        lengths = cache.lengths.clone()
        lengths[row] = lengths[row].clamp(max=position)
        cache = cache.rewound(lengths)
    return replace(after, fixed=after.fixed | (chosen & after.valid), cache=cache)


def may_end(state: SamplerState) -> Bool[Tensor, "B T"]:
    """Return where the text may end: where no given word follows."""
    given = (state.fixed & state.valid).long()
    return given.flip(1).cumsum(1).flip(1) - given == 0


def propose(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Drawn:
    """Draw a token at each asked position under the row's settings and noise.

    Mask, BOS and padding are never drawn; neither is EOS where given words follow, where a word was taken back, or
    where the user said so. Positions that depend on each other under a constraint are drawn one after another.
    """
    uniform = state.noise.uniform("token", at.shape[1])[at]
    turn = turns(state, at)
    if turn is None:
        return draw(logits, uniform, *_shape(state, at, logits))
    found: list[Drawn] = []
    for number in range(int(turn.max()) + 1):
        now = turn == number
        here = torch.zeros_like(at).masked_scatter(at, now)
        found.append(draw(logits[now], uniform[now], *_shape(state, here, logits[now])))
        tokens = state.tokens.masked_scatter(here, found[-1].token)
        state = replace(state, tokens=tokens, open=state.open & ~here)
    order = torch.cat([(turn == number).nonzero()[:, 0] for number in range(len(found))]).argsort()
    return Drawn(*(torch.cat([getattr(one, f.name) for one in found])[order] for f in fields(Drawn)))


def believed_words(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return the distribution that :func:`propose` draws from, float64."""
    return shaped(logits, *_shape(state, at, logits))


def _shape(
    state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return temperature, top-k, top-p and forbidden tokens of each asked position."""
    row = at.nonzero()[:, 0]
    return (
        temperature_of(state)[row],
        state.setting("top_k").clamp(max=logits.shape[1]).long()[row],
        state.setting("top_p")[row],
        forbidden_at(state, at, logits),
    )


def forbidden_at(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Bool[Tensor, "n V"]:
    """Return the tokens that must not be drawn at each asked position."""
    vocabulary = state.vocabulary
    forbidden = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    for special in (vocabulary.mask, vocabulary.bos, vocabulary.pad):
        forbidden[:, special] = True
    no_end = ~may_end(state) | state.reopened | state.setting("ignore_eos").bool()[:, None]
    forbidden[:, vocabulary.eos] = no_end[at]
    if vocabulary.spaced is not None and bool((lead := state.lead[at]).any()):
        forbidden |= lead[:, None] & ~vocabulary.spaced
    if state.constraints is not None:
        forbidden |= barred(state, at, logits.shape[1])
    return forbidden


def temperature_of(state: SamplerState) -> Float[Tensor, " B"]:
    """Return this step's temperature of each row: linear from the first step to the last."""
    start = state.setting("temperature")
    given = [s.temperature_end if isinstance(s, SteppedSettings) else None for s in state.settings]
    if all(end is None for end in given):
        return start
    ends = [s.temperature if end is None else end for s, end in zip(state.settings, given, strict=True)]
    end = torch.tensor(ends, dtype=torch.float64, device=start.device)
    share = (state.step / (state.setting("steps") - 1).clamp(min=1)).clamp(max=1)
    return start + (end - start) * share


def commit(
    state: SamplerState, chosen: Bool[Tensor, "B T"], tokens: Int[Tensor, "B T"], confidence: Float[Tensor, "B T"]
) -> SamplerState:
    """Decide the chosen positions; an end of text among them closes all that follows it.

    What follows an end of text belongs to no text, and training never showed it: it is neither attended to nor decided.
    """
    vocabulary = state.vocabulary
    written = torch.where(chosen, tokens, state.tokens)
    ends = chosen & (written == vocabulary.eos)
    closed = (ends.long().cumsum(1) - ends.long()) > 0
    trust = torch.where(chosen, confidence.to(state.confidence.dtype), state.confidence)
    return replace(
        state,
        tokens=written.masked_fill(closed, vocabulary.pad),
        open=state.open & ~chosen & ~closed,
        valid=state.valid & ~closed,
        confidence=trust.masked_fill(closed, 0.0),
    )
