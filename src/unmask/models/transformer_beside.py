"""The transformer's answer to a text with vectors beside it: positions of their own, all at place 0.

Letters: B batch, T tokens, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.state import Prediction, State
from unmask.models.side_vectors import Memories
from unmask.models.token_places import Positions
from unmask.models.transformer_places import angles
from unmask.models.visibility import mask_beside

if TYPE_CHECKING:
    from unmask.models.transformer import Transformer


def answer_beside(
    network: Transformer,
    state: State,
    asked: Positions,
    x: Float[Tensor, "B T D"],
    positions: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B 1 T T"] | None,
    beside: Memories,
    return_hidden: bool,
) -> Prediction:
    """Answer a state with memory or a thought.

    Args:
        network: Who answers.
        state: What it sees.
        asked: Where the hidden states lie that predict what is asked.
        x: Embeddings of the words.
        positions: Their places.
        mask: Which of them may attend to which.
        beside: The vectors.
        return_hidden: Also return the final hidden states of the words.
    """
    batch, count = beside.there.shape
    x = torch.cat([beside.vectors.to(x.dtype), x], 1)
    positions = torch.cat([positions.new_zeros(batch, count), positions.expand(batch, -1)], 1)
    by, mask = angles(network.config, positions), mask_beside(mask, state, beside)
    for block in network.blocks[:-1]:
        x = block(x, by, mask, False, None, positions)
    # The last block runs where something is asked, and at the cells of the text's own thought.
    thoughts = network.thoughts
    cells = thoughts.options.cells if thoughts is not None and state.thought is not None else 0
    rows = torch.arange(batch, device=x.device).repeat_interleave(cells)
    columns = torch.arange(cells, device=x.device).repeat(batch)
    wanted = torch.cat([rows, asked[0]]), torch.cat([columns, asked[1] + count])
    x = network.blocks[-1](x, by, mask, False, None, positions, None if return_hidden else wanted)
    picked = x[wanted] if return_hidden else x
    became = picked[: batch * cells].view(batch, cells, picked.shape[-1])
    thought = network.thought_of(state, became) if cells else None
    states = network.norm(picked[batch * cells :])
    hidden = network.norm(x[:, count:]) if return_hidden else None
    return Prediction(network.head(states), hidden, thought=thought, notes=network.notes_of(hidden), states=states)
