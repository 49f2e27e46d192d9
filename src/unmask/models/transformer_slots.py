"""The transformer's answer to a text whose candidates are positions of their own: T*S slots in every attention.

The slots of a position share its place: nothing tells the first from the last, unless places count slots.

Letters: B batch, T tokens, S slots, n asked positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.diffusion.state import Prediction, State
from unmask.models.candidates import FullCandidates, embedded
from unmask.models.token_places import Positions
from unmask.models.transformer_places import angles

if TYPE_CHECKING:
    from unmask.models.transformer import Transformer


def answer_slots(
    network: Transformer,
    candidates: FullCandidates,
    state: State,
    asked: Positions,
    positions: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B 1 T T"] | None,
    return_hidden: bool,
) -> Prediction:
    """Answer a state with candidates in full, then read out each asked position's slots.

    Args:
        network: Who answers.
        candidates: Its part for candidates.
        state: What it sees.
        asked: Where the hidden states lie that predict what is asked.
        positions: Places of the words.
        mask: Which of them may attend to which.
        return_hidden: Also return the final hidden states of the words.
    """
    tokens, mass = candidates.slots(state)
    batch, length, slots = tokens.shape
    x = network.embed(tokens)
    if state.candidates is not None and state.candidates.jitter is not None:
        x = torch.cat([x[:, :, :1], embedded(network.embed, state.candidates)], 2)
    x = x.reshape(batch, length * slots, -1)
    if network.time is not None:
        t = state.t if state.t is not None else torch.zeros(batch, device=tokens.device)
        x = x + network.time(t if t.ndim == 1 else t.repeat_interleave(slots, 1))
    places = positions.repeat_interleave(slots, -1)
    by = angles(network.config, places, torch.arange(slots, device=tokens.device).repeat(length))
    rows, columns = asked
    each = torch.arange(slots, device=tokens.device)
    wanted = (rows[:, None].expand(-1, slots).reshape(-1), (columns[:, None] * slots + each).reshape(-1))
    for layer, block in enumerate(network.blocks):
        last = layer == len(network.blocks) - 1 and not return_hidden
        bias = candidates.bias(layer, mass, mask).to(x.dtype)
        x = block(x, by, bias, False, None, places, wanted if last else None)
    hidden = None
    if return_hidden:
        hidden = candidates.readout(x.view(batch, length, slots, -1), mass)
        x = x[wanted]
        hidden = network.norm(hidden)
    x = network.norm(candidates.readout(x.view(-1, slots, x.shape[-1]), mass[rows, columns]))
    return Prediction(network.head(x), hidden, notes=network.notes_of(hidden), states=x)
