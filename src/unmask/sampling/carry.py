"""What goes on from step to step: candidates of open positions, thoughts and notes (see ``thought_steps``).

Candidates are what the model thought of an open position, kept for its next answer. They are the K most probable tokens
of the last answer with their true softmax values (temperature 1, nothing truncated), as in training. Committed
positions have none.

Letters: B rows, T positions, K candidates, V vocabulary, n open positions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.carried import renewed
from unmask.diffusion.likelihood import without
from unmask.diffusion.sparse import top_candidates
from unmask.diffusion.state import Prediction, SparseState, State
from unmask.sampling.sampler import masked_view
from unmask.sampling.span import answered_in_block, masks_shown
from unmask.sampling.state import SamplerState
from unmask.sampling.thought_steps import in_mind, remembers, thought_on


def seen(model: Any, state: SamplerState) -> State:
    """Return what a bidirectional model sees of a state: the canvas, and all that is carried."""
    return in_mind(model, state, masks_shown(model, state, masked_view(state)))


def answered(model: Any, state: SamplerState, at: Bool[Tensor, "B T"]) -> Prediction:
    """Return what a model that sees both sides says of some positions: of the whole canvas, or of each row's block."""
    if state.span is not None:
        return answered_in_block(model, state, at)
    view = seen(model, state)
    answer: Prediction = model(view, at=at[:, : view.tokens.shape[1]])
    return answer


def carried_on(
    model: Any,
    before: SamplerState,
    after: SamplerState,
    part: SamplerState,
    index: Int[Tensor, " b"],
    at: Bool[Tensor, "B T"],
    answer: Prediction,
) -> SamplerState:
    """Return the state after a step with what goes on to the next one: candidates, thoughts, notes, a cache.

    Args:
        model: The network.
        before: The state before the step.
        after: The state after it.
        part: The rows that were asked.
        index: Their numbers.
        at: Their positions that were asked.
        answer: What the network said.
    """
    given = new_candidates(model, part, at, answer.logits)
    after = replace(after, candidates=carried(after, before.candidates, given, index))
    if before.cache is not None:
        after = replace(after, cache=before.cache.put(index, answer.cache))
    return thought_on(model, before, after, answer, index)


def carries(model: Any, state: SamplerState) -> Bool[Tensor, " B"]:
    """Return the rows to which every answer of the model leaves something: candidates, a thought, notes.

    For them an answer that decides no word is not for nothing, and leaving it out writes another text.
    """
    if remembers(model):
        return torch.ones_like(state.done)
    return torch.tensor([count > 0 for count in _counts(model, state)], device=state.tokens.device)


def most_candidates(model: Any, state: SamplerState) -> int:
    """Return the largest K of the rows; 0 for a model that takes no candidates."""
    return max(_counts(model, state))


def _counts(model: Any, state: SamplerState) -> list[int]:
    config = getattr(model, "config", None)
    own = int(getattr(config, "candidates", 0)) if getattr(config, "candidate_input", None) else 0
    if not own:
        return [0] * len(state.settings)
    most = int(model.config.vocab_size)  # there are no more tokens, whatever was asked
    asked = [getattr(s, "candidates", None) for s in state.settings]
    return [own if count is None else min(count, most) for count in asked]


def new_candidates(
    model: Any, state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]
) -> SparseState | None:
    """Return the candidates of the open positions ``at``, from the model's answer there.

    Args:
        model: Says how many candidates it was trained with.
        state: The rows that were asked.
        at: Their open positions.
        logits: The answer.
    """
    counts = _counts(model, state)
    if not max(counts):
        return None
    found = top_candidates(without(logits, state.vocabulary.mask), at, max(counts))
    if min(counts) == max(counts):
        return found
    place = torch.arange(max(counts), device=at.device)
    keep = place < torch.tensor(counts, device=at.device)[:, None]
    return SparseState(found.tokens, found.mass * keep[:, None])


def carried(after: SamplerState, old: SparseState | None, new: SparseState | None, rows: Tensor) -> SparseState | None:
    """Return the candidates after a step: the rows that were asked have new ones, and committed positions none.

    Args:
        after: The state after the step.
        old: Candidates before it.
        new: Candidates of the rows that were asked.
        rows: Their numbers.
    """
    if new is None:
        return old
    found = renewed(old, new, rows, after.texts)
    return replace(found, mass=found.mass * after.open[..., None])
