"""Who may attend to whom: visibility, borders of documents, padding, and vectors that stand before the text.

Letters: B batch, T tokens, M vectors.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from unmask.diffusion.state import State
from unmask.models.side_vectors import Memories


def attention_mask(state: State) -> Bool[Tensor, "B 1 T T"] | None:
    """Return who may attend to whom, or ``None`` where visibility alone says it.

    A padded position attends to itself, so that no softmax is empty.
    """
    if state.segments is None and state.valid is None:
        return None
    length = state.tokens.shape[1]
    device = state.tokens.device
    allowed = torch.ones(1, length, length, dtype=torch.bool, device=device)
    if state.visibility == "causal":
        allowed = allowed.tril()
    if state.segments is not None:
        allowed = allowed & (state.segments[:, :, None] == state.segments[:, None, :])
    if state.valid is not None:
        allowed = (allowed & state.valid[:, None, :]) | torch.eye(length, dtype=torch.bool, device=device)
    return allowed[:, None]


def mask_beside(
    mask: Bool[Tensor, "B 1 T T"] | None, state: State, beside: Memories
) -> Bool[Tensor, "B 1 M+T M+T"] | None:
    """Return who may attend to whom where M vectors stand before the text; ``None``: all to all.

    Words see the vectors of their document that are there, and vectors each other. Vectors see the words only under
    bidirectional visibility: else the future would come back through them.
    """
    batch, length = state.tokens.shape
    there, device = beside.there, state.tokens.device
    several = state.segments is not None
    both = state.visibility == "bidirectional"
    if mask is None and both and bool(there.all()):
        return None
    if mask is None:
        mask = torch.ones(1, 1, length, length, dtype=torch.bool, device=device)
        mask = mask if both else mask.tril()
    count = there.shape[1]
    among = there[:, None, :].expand(-1, count, -1)
    read = there[:, None, :].expand(-1, length, -1)
    written = torch.full((batch, count, length), both, dtype=torch.bool, device=device) & there[:, :, None]
    if several:
        owners = beside.owners
        among = among & (owners[:, :, None] == owners[:, None, :])
        read = read & (owners[:, None, :] == state.segments[:, :, None])  # type: ignore[index]
        written = written & read.transpose(1, 2)
    if state.valid is not None:
        written = written & state.valid[:, None, :]
    among = among | torch.eye(count, dtype=torch.bool, device=device)
    above = torch.cat([among, written], 2)
    below = torch.cat([read, mask[:, 0].expand(batch, -1, -1)], 2)
    return torch.cat([above, below], 1)[:, None]
