"""A text's thought from step to step: it starts as noise of the row's own, and becomes clear along with the words.

After an answer, the clean thought that it believes in is taken to the level that belongs to the share of words still
open, eps being kept (DDIM); a level never rises, so a thought that was given clear stays as it is. The network's notes
for its next answer are kept here, too.

Letters: B rows, b chosen rows, C cells, c cells of a reduced thought, E channels, N thoughts on a stack.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.diffusion.carried import renewed
from unmask.diffusion.gaussian import denoised_to, levels
from unmask.diffusion.noise import Noise
from unmask.diffusion.schedules import get_schedule
from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Thought, ThoughtOptions
from unmask.diffusion.with_thoughts import thought_time
from unmask.sampling.state import SamplerState


def options_of(model: Any) -> ThoughtOptions | None:
    """Return how a model's thoughts are made; ``None`` for a model without."""
    thoughts = getattr(model, "thoughts", None)
    return None if thoughts is None else thoughts.options


def remembers(model: Any) -> bool:
    """Return whether every answer of a model leaves something for its next one: a thought, notes."""
    return options_of(model) is not None or getattr(model, "leaves_notes", False)


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
    """Return what the model sees of a state, with the thoughts that texts begin with where there are none yet."""
    options = options_of(model)
    return view if options is None or view.thought else replace(view, thought=fresh(options, state.key))


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
        own = before.thought.rows(index) if before.thought else fresh(options, before.key[index])
        share = after.masked_fraction[index] if share is None else share
        believed = answer.thought.float()
        time = thought_time(share, options.pace)
        then = levels(time, believed, get_schedule(options.schedule), options.saliency)
        then = torch.minimum(then, own.level)
        cells = denoised_to(own.cells, own.level, believed, then).to(own.cells.dtype)
        new = replace(own, cells=cells, level=then, believed=believed)
        after = replace(after, thought=renewed(before.thought, new, index, before.texts))
    if not (before.notes.things or answer.notes.things):
        return after
    return replace(after, notes=renewed(before.notes, answer.notes, index, before.texts))
