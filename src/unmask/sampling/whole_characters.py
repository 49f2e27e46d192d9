"""No text ends with half a character: what a sampler left broken is opened once more and completed.

Tokens may be bytes, or pieces of characters, and those that are drawn side by side need not fit. When a text is
finished, the written tokens of what is broken (:mod:`unmask.data.whole_text`) are opened again, and decided from the
left of each run: the likeliest token, by the model's answer at that moment, after which what is still open can be
completed. Given words stay. The network is asked as often as the longest run has tokens.

Where nothing is broken no token changes and no network is asked, so a sampler keeps its promise for all texts that are
whole; a broken text, which is no text of the truth, is moved to a near whole one. Where given words allow no completion
(a sign of the user's behind a hole too short for a letter), UTF-8 alone is kept. A text under a constraint is left as
it is: a grammar asks for whole characters itself, and only a text that is cut off may stop within one.

Letters: B rows, T positions, S states of the automaton, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from unmask.data.whole_text import STATES, after_all, broken, number_of, owes, states_after
from unmask.diffusion.state import State
from unmask.sampling.carry import seen
from unmask.sampling.categorical import refuse_nan
from unmask.sampling.state import SamplerState, rows
from unmask.sampling.thought_steps import in_mind

_WHOLE = np.array([not begun for begun, _ in STATES])
"""States in which no character is begun."""


@torch.no_grad()
def completed(model: Any, shows: str, state: SamplerState, goes_on: list[bool]) -> SamplerState:
    """Return the state whose finished rows hold whole characters.

    Args:
        model: The network.
        shows: What an open position shows it.
        state: Texts; rows that are not done stay as they are.
        goes_on: For each row, whether more is written behind it, so that its last character may be half there.
    """
    table = state.vocabulary.table
    if table is None or not bool(state.done.any()):
        return state
    found = torch.zeros_like(state.open)
    for row in state.done.nonzero()[:, 0].tolist():
        if state.constraints is None or state.constraints.each[row] is None:  # else another word may not fit
            found[row] = _broken(state, row, table, goes_on[row])
    index = found.any(1).nonzero()[:, 0]
    if not len(index):
        return state
    part, opened = rows(state, index), found[index]
    ends = [goes_on[row] for row in index.tolist()]
    calls = torch.zeros_like(part.forwards)
    while bool(opened.any()):
        first = opened.clone()
        first[:, 1:] &= ~opened[:, :-1]
        asked = opened.any(1)
        logits = _answer(model, shows, part, opened, first)
        believed = logits.double().softmax(-1)
        refuse_nan(believed.amax(1), logits)
        allowed = torch.from_numpy(_allowed(part, opened, first, table, ends)).to(logits.device)
        allowed = pad(allowed, (0, logits.shape[1] - len(table)))  # a network may have more ids than its tokenizer
        if (spaced := part.vocabulary.spaced) is not None and bool((allowed & spaced).any(1).all()):
            allowed &= ~part.lead[first][:, None] | spaced
        token = logits.double().masked_fill(~allowed, -torch.inf).argmax(1)
        trust = believed.gather(1, token[:, None])[:, 0]
        part = replace(
            part,
            tokens=part.tokens.masked_scatter(first, token),
            confidence=part.confidence.masked_scatter(first, trust.to(part.confidence.dtype)),
        )
        opened, calls = opened & ~first, calls + asked
    return replace(
        state,
        tokens=state.tokens.index_copy(0, index, part.tokens),
        confidence=state.confidence.index_copy(0, index, part.confidence),
        forwards=state.forwards.index_add(0, index, calls),
    )


def _broken(state: SamplerState, row: int, table: tuple[bytes, ...], goes_on: bool) -> Bool[Tensor, " T"]:
    """Return the written tokens of a row that hold broken bytes, or should have gone on with a given one."""
    parts = _spelled(table, state.tokens[row][state.valid[row]].tolist())
    data, given = b"".join(parts), state.fixed[row].tolist()
    wrong, _ = broken(data, complete=not goes_on)
    found = torch.zeros_like(state.open[row])
    if wrong.any():
        border = len(b"".join(parts[: given.index(False)] if False in given else parts))
        begun = broken(data[:border], complete=False)[1][0]
        if begun and wrong[border - 1]:
            wrong[border : border + owes(begun)] = True
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        found[torch.from_numpy(np.unique(owner[wrong])).to(found.device)] = True
    return found & ~state.fixed[row]


def _spelled(table: tuple[bytes, ...], tokens: list[int]) -> list[bytes]:
    return [table[token] if token < len(table) else b"" for token in tokens]


def _answer(
    model: Any, shows: str, part: SamplerState, opened: Bool[Tensor, "B T"], first: Bool[Tensor, "B T"]
) -> Float[Tensor, "n V"]:
    """Return the model's logits at some of the opened positions.

    Text that is written in blocks is read left to right, as its finished part is.
    """
    tokens = part.tokens if shows == "token" else part.tokens.masked_fill(opened, part.vocabulary.mask)
    open_ = replace(part, tokens=tokens, open=opened & part.valid)
    if shows == "nothing" or part.span is not None:
        length = int(first.any(0).nonzero().max()) + 1
        view = in_mind(model, open_, State(tokens[:, :length], "causal", **open_.shown(length)))
    else:
        view = seen(model, open_)
        length = view.tokens.shape[1]
    if shows == "token":
        view = replace(view, level=opened[:, :length].float())
    logits: Tensor = model(view, at=first[:, :length]).logits
    return logits


def _allowed(
    part: SamplerState,
    opened: Bool[Tensor, "B T"],
    first: Bool[Tensor, "B T"],
    table: tuple[bytes, ...],
    ends: list[bool],
) -> Bool[np.ndarray, "n V"]:
    """Return which tokens may stand at the first position of each run, so that the whole of it can be completed."""
    step = states_after(table)
    found = []
    for row, place in first.nonzero().tolist():
        length = int(part.valid[row].sum())
        tokens, hole = part.tokens[row, :length].tolist(), opened[row, :length].tolist()
        until = next((at for at in range(place, length) if not hole[at]), length)
        then = next((at for at in range(until, length) if hole[at]), length)
        now = number_of(broken(b"".join(_spelled(table, tokens[:place])), complete=False)[1])
        least = np.append(_WHOLE | (until == length and ends[row]), False)  # the last state is none
        right = after_all(np.arange(len(STATES) + 1), _spelled(table, tokens[until : min(then, until + 4)]))
        for good in (least & np.append(right[:-1] < len(STATES), False), least):
            for _ in range(until - place - 1):
                good = np.append(good[step[:-1]].any(1), False)
            may: Bool[np.ndarray, " V"] = good[step[now]]
            if may.any():
                break
        found.append(may if may.any() else np.array([bool(token) for token in table]))
    return np.stack(found)
