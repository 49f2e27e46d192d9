"""Self-attention inside patches, in blocks: a byte meets those near it, and of them only those of its own patch.

Patches are short; T x T scores, of which few count, would cost more than all else in the encoder. With w at least the
longest patch, the bytes of a block of w places have their patches within the block before, the block, and (under
bidirectional visibility) the block after. The same function as full attention with a mask, tested equal.

Letters: B batch, T bytes, w width of a block, b blocks, c blocks that one meets (2 or 3), H heads, E head width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from unmask.models.transformer_block import Attention

_LEAST = 16


def width_of(longest: int) -> int:
    """Return the width of a block for patches of up to so many bytes."""
    return -(-longest // _LEAST) * _LEAST


def span(length: int, longest: int | None, causal: bool) -> float:
    """Return with how many places attention compares each byte, mean over a text, the filled-up end included.

    Args:
        length: Bytes (T).
        longest: Of the patches of the batch; ``None``: unknown, all to all.
        causal: Whether a block meets two blocks, not three.
    """
    width, met = width_of(longest or length), 2 if causal else 3
    if met * width >= length:
        return float(length)
    return met * width * -(-length // width) * width / length


def inside(patch: Int[Tensor, "B T"], causal: bool) -> Bool[Tensor, "B 1 T T"] | Bool[Tensor, "B*b 1 w c*w"]:
    """Return which bytes see each other, those of one patch: block by block, or all to all in short texts.

    Args:
        patch: Number of each byte's patch; it never falls along a row.
        causal: No byte sees a later one.
    """
    batch, length = patch.shape
    count = int(patch.max()) + 1
    offset = count * torch.arange(batch, device=patch.device)[:, None]
    width = width_of(int((patch + offset).flatten().bincount().max()))
    met = 2 if causal else 3
    if met * width >= length:
        same = patch[:, :, None] == patch[:, None, :]
        return (same.tril() if causal else same)[:, None]
    short = -length % width
    asks = F.pad(patch, (0, short), value=-1).view(batch, -1, width)
    answers = F.pad(patch, (width, short + (met - 2) * width), value=-2).unfold(1, met * width, width)
    same = asks[..., None] == answers[:, :, None, :]
    place = torch.arange(width, device=patch.device)
    apart = torch.arange(met * width, device=patch.device) - width - place[:, None]
    if causal:
        same = same & (apart <= 0)
    return (same | (apart == 0)).flatten(0, 1)[:, None]


class PatchAttention(Attention):
    """Attention that takes either mask of :func:`inside`, told by its shape."""

    def _mixed(
        self,
        q: Float[Tensor, "B H T E"],
        k: Float[Tensor, "B H S E"],
        v: Float[Tensor, "B H S E"],
        mask: Tensor | None,
        causal: bool,
    ) -> Float[Tensor, "B H T E"]:
        batch, heads, length, each = q.shape
        if mask is None or mask.shape[2] == length:
            return super()._mixed(q, k, v, mask, causal)
        width = mask.shape[2]
        met, short = mask.shape[3] // width, -length % width

        def around(x: Float[Tensor, "B H T E"]) -> Float[Tensor, "B*b H c*w E"]:
            cut = F.pad(x, (0, 0, width, short + (met - 2) * width)).unfold(2, met * width, width)
            return cut.permute(0, 2, 1, 4, 3).flatten(0, 1)

        asks = F.pad(q, (0, 0, 0, short)).view(batch, heads, -1, width, each).transpose(1, 2).flatten(0, 1)
        mixed = super()._mixed(asks, around(k), around(v), mask, False)
        return mixed.view(batch, -1, heads, width, each).transpose(1, 2).flatten(2, 3)[:, :, :length]
