"""A text's thought from step to step: it starts as noise of the row's own, and becomes clear along with the words.

After an answer, the clean thought that it believes in is taken to the level that belongs to the share of words still
open, eps being kept (DDIM); a level never rises, so a thought that was given clear stays as it is. The latent pathway
is here, too: an answer's last hidden states, kept for the next one. Retrieved memory is given, and stays as it is.

Letters: B rows, T positions, C cells, c cells of a reduced thought, E channels, N thoughts on a stack, D width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.diffusion.gaussian import denoised_to, levels
from unmask.diffusion.noise import Noise
from unmask.diffusion.schedules import get_schedule
from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thinking import thought_time
from unmask.diffusion.thought import Thought, ThoughtOptions
from unmask.sampling.state import SamplerState


def options_of(model: Any) -> ThoughtOptions | None:
    """Return how a model's thoughts are made; ``None`` for a model without."""
    thoughts = getattr(model, "thoughts", None)
    return None if thoughts is None else thoughts.options


def passages_of(model: Any) -> ThoughtOptions | None:
    """Return how a model's texts are cut into passages; ``None``: they are not."""
    section = getattr(getattr(model, "config", None), "thought", None)
    return ThoughtOptions(**section) if section else None


def fresh(options: ThoughtOptions, keys: Int[Tensor, " B"], stack: Float[Tensor, "B n c E"] | None = None) -> Thought:
    """Return thoughts of pure noise.

    Args:
        options: Their shape.
        keys: Noise keys of the rows.
        stack: Reduced thoughts of the passages before, the newest first; at most N are seen. ``None``: a text begins.
    """
    rows, device = len(keys), keys.device
    own = Noise(0, keys).normal("thought", options.cells * options.channels)
    cells = own.view(rows, options.cells, options.channels)
    kept = torch.zeros(rows, options.stack, options.reduced, options.channels, device=device)
    valid = torch.zeros(rows, options.stack, dtype=torch.bool, device=device)
    if stack is not None:
        count = min(stack.shape[1], options.stack)
        kept[:, :count], valid[:, :count] = stack[:, :count].to(kept.dtype), True
    return Thought(cells, torch.ones(rows, options.cells, device=device), kept, valid)


def in_mind(model: Any, state: SamplerState, view: State) -> State:
    """Return what the model sees, with the thought, the latent and the retrieved memory of each row."""
    options = options_of(model)
    if options is not None:
        view = replace(view, thought=state.thought or fresh(options, state.key))
    if state.latent is not None:
        view = replace(view, latent=state.latent[:, : view.tokens.shape[1]])
    if state.memory is not None:
        view = replace(view, memory=state.memory, memory_valid=state.memory_valid)
    return view


def thought_on(
    model: Any,
    before: SamplerState,
    after: SamplerState,
    answer: Prediction,
    index: Int[Tensor, " b"],
    share: Float[Tensor, " b"] | None = None,
) -> SamplerState:
    """Return the state after a step, with what the answer changed in the minds of the rows that were asked.

    Args:
        model: The network.
        before: The state before the step.
        after: The state after it.
        answer: What the network said about the rows of ``index``.
        index: Their numbers.
        share: Their noise level after the step; ``None``: the share of open positions.
    """
    options = options_of(model)
    if options is not None and answer.thought is not None:
        thought = before.thought or fresh(options, before.key)
        share = after.masked_fraction[index] if share is None else share
        believed = answer.thought.float()
        time = thought_time(share, options.pace)
        then = levels(time, believed, get_schedule(options.schedule), options.saliency)
        then = torch.minimum(then, thought.level[index])
        cells = denoised_to(thought.cells[index], thought.level[index], believed, then)
        thought = replace(
            thought,
            cells=thought.cells.index_copy(0, index, cells.to(thought.cells.dtype)),
            level=thought.level.index_copy(0, index, then),
        )
        kept = torch.zeros_like(thought.cells) if before.believed is None else before.believed
        after = replace(after, thought=thought, believed=kept.index_copy(0, index, believed))
    if getattr(model, "latent", None) is not None and answer.hidden is not None:
        hidden = pad(answer.hidden, (0, 0, 0, after.tokens.shape[1] - answer.hidden.shape[1]))
        kept = hidden.new_zeros(len(after.tokens), *hidden.shape[1:]) if before.latent is None else before.latent
        after = replace(after, latent=kept.index_copy(0, index, hidden))
    return after
