"""Attention of each token to those at most w places away, in time that grows with T w.

The places are cut into blocks of w; a block's queries meet the keys of the block before, their own and the next, and a
mask takes away what lies beyond the window, beyond the document, or is no token. Positions are rotary.

Letters: R rows and P places of the layout, b blocks, w window, D width, H heads, E head width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.models.attention import attend
from unmask.models.eco_config import EcoConfig
from unmask.models.fused import RMSNorm, rotate
from unmask.models.rope import Rotary
from unmask.models.token_places import Layout


class WindowAttention(nn.Module):
    """Self-attention within a window, both ways, behind its norm."""

    def __init__(self, config: EcoConfig) -> None:
        super().__init__()
        self.heads, self.window = config.num_attention_heads, config.window
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.out = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x: Float[Tensor, "R P D"], by: Rotary, layout: Layout) -> Float[Tensor, "R P D"]:
        """Attend; ``by`` are the rotary angles of the places. 0 in, 0 out at empty places."""
        rows, places, width = x.shape
        qkv = self.qkv(self.norm(x)).view(rows, places, 3 * self.heads, -1).transpose(1, 2)
        turned, value = qkv.split([2 * self.heads, self.heads], dim=1)
        query, key = rotate(turned, *by).chunk(2, dim=1)
        if places <= 3 * self.window:
            mask = self._everywhere(layout, places, x.device)
            mixed = attend(query, key, value, mask)
        else:
            mixed = self._in_blocks(query, key, value, layout)
        return self.out(mixed.transpose(1, 2).reshape(rows, places, width))

    def _everywhere(self, layout: Layout, places: int, device: torch.device) -> Bool[Tensor, "r 1 P P"] | None:
        """Return who may attend to whom, ``None`` for all to all."""
        owners = layout.owners
        if owners is None and places <= self.window + 1:
            return None
        at = torch.arange(places, device=device)
        near = ((at[:, None] - at).abs() <= self.window)[None]
        if owners is not None:
            near = near & _together(owners[:, :, None], owners[:, None, :]) | (at[:, None] == at)
        return near[:, None]

    def _in_blocks(self, query: Tensor, key: Tensor, value: Tensor, layout: Layout) -> Float[Tensor, "R H P E"]:
        rows, heads, places, width = query.shape
        w = self.window
        blocks = -(-places // w)
        short = blocks * w - places

        def around(x: Float[Tensor, "R H P E"]) -> Float[Tensor, "R*b H 3*w E"]:
            cut = F.pad(x, (0, 0, w, w + short)).unfold(2, 3 * w, w)
            return cut.permute(0, 2, 1, 4, 3).reshape(rows * blocks, heads, 3 * w, width)

        mask = self._around(layout, rows, places, query.device)
        asks = F.pad(query, (0, 0, 0, short)).view(rows, heads, blocks, w, width).transpose(1, 2).flatten(0, 1)
        mixed = attend(asks, around(key), around(value), mask)
        mixed = mixed.view(rows, blocks, heads, w, width).transpose(1, 2).reshape(rows, heads, blocks * w, width)
        return mixed[:, :, :places]

    def _around(self, layout: Layout, rows: int, places: int, device: torch.device) -> Bool[Tensor, "R*b 1 w 3*w"]:
        """Return which of the three blocks around it each query may attend to: itself in any case."""
        w = self.window
        owners = layout.owners
        if owners is None:
            owners = torch.zeros(1, places, dtype=torch.int64, device=device)
        short = -places % w
        asks = F.pad(owners, (0, short), value=-1).view(len(owners), -1, w)
        answers = F.pad(owners, (w, w + short), value=-1).unfold(1, 3 * w, w)
        apart = torch.arange(3 * w, device=device) - w - torch.arange(w, device=device)[:, None]
        allowed = (apart.abs() <= w) & _together(asks[..., None], answers[:, :, None, :]) | (apart == 0)
        return allowed.expand(rows, -1, -1, -1).reshape(-1, 1, w, 3 * w)


def _together(a: Tensor, b: Tensor) -> Bool[Tensor, "*B"]:
    """Tell whether two places hold tokens of one document."""
    return (a == b) & (a >= 0)
