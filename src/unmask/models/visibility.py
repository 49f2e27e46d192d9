"""Who may attend to whom: visibility, borders of documents, padding, and vectors that stand before the text.

Letters: B batch, T tokens, S places of a text that stands there once or twice, n new tokens, M vectors.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.diffusion.state import State
from unmask.models.side_vectors import Memories


def attention_mask(state: State, whole: bool = False) -> Bool[Tensor, "B 1 S S"] | None:
    """Return who may attend to whom, or ``None`` where visibility alone says it.

    A padded position attends to itself, so that no softmax is empty. Where there is a clean text beside the noisy one,
    its places come first.

    Args:
        state: What the network sees.
        whole: Whether the clean text is read in whole blocks; else left to right.
    """
    if state.segments is None and state.valid is None and state.visibility != "block":
        return None
    length = state.tokens.shape[1]
    device = state.tokens.device
    allowed = torch.ones(1, length, length, dtype=torch.bool, device=device)
    segments, valid = state.segments, state.valid
    if state.visibility == "causal":
        allowed = allowed.tril()
    if state.visibility == "block":
        start = blocks_of(state)
        before = torch.arange(length, device=device) < start[:, :, None]
        own = start[:, :, None] == start[:, None, :]
        if state.clean is None:
            allowed = before | own
        else:
            among = before | own if whole else allowed.tril().expand(len(own), -1, -1)
            clean = torch.cat([among, torch.zeros_like(among)], 2)
            allowed = torch.cat([clean, torch.cat([before, own], 2)], 1)
            segments, valid = (None if x is None else x.repeat(1, 2) for x in (segments, valid))
    if segments is not None:
        allowed = allowed & (segments[:, :, None] == segments[:, None, :])
    if valid is not None:
        allowed = (allowed & valid[:, None, :]) | torch.eye(allowed.shape[1], dtype=torch.bool, device=device)
    return allowed[:, None]


def near(
    positions: Int[Tensor, "B T"],
    seen: Int[Tensor, "B S"],
    window: int,
    mask: Bool[Tensor, "B 1 T S"] | None,
    causal: bool,
) -> Bool[Tensor, "B 1 T S"]:
    """Return who may attend to whom within a window.

    Args:
        positions: Of what attends.
        seen: Of what is attended to.
        window: Places to either side.
        mask: Who may attend to whom without it; ``None``: all to all, or what ``causal`` says.
        causal: None to a later one.
    """
    apart = positions[:, :, None] - seen[:, None, :]
    allowed = (apart <= window) & (apart >= (0 if causal else -window))
    return allowed[:, None] if mask is None else allowed[:, None] & mask


def blocks_of(state: State) -> Int[Tensor, "B T"]:
    """Return the first position of each position's block."""
    if state.block is not None:
        return state.block
    column = torch.arange(state.tokens.shape[1], device=state.tokens.device)
    return column.clamp(max=1).expand(state.tokens.shape)


def last_seen(state: State, positions: Int[Tensor, "B n"]) -> Int[Tensor, "B n"]:
    """Return the last position that each new token sees behind a cache: its own, or the last of its block."""
    if state.block is None:
        return positions
    own = state.block[:, :, None] == state.block[:, None, :]
    if state.valid is not None:
        own = own & state.valid[:, None, :]
    return torch.where(own, positions[:, None, :], positions[:, :1, None]).amax(2)


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
