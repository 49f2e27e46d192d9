"""The noise level as a network reads it.

Letters: B batch, T tokens, D width.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sinusoidal features of the noise level through a small MLP (Ho et al. 2020, arXiv 2006.11239)."""

    def __init__(self, width: int, features: int = 64) -> None:
        super().__init__()
        self.features = features
        self.mlp = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Float[Tensor, " B"] | Float[Tensor, "B T"]) -> Float[Tensor, "B 1 D"] | Float[Tensor, "B T D"]:
        """Embed the level in [0, 1] of each row, or of each position."""
        t = t[:, None] if t.ndim == 1 else t
        half = self.features // 2
        frequency = torch.exp(-math.log(10000.0) * torch.arange(half, device=t.device) / half)
        angle = 1000.0 * t.float()[..., None] * frequency
        features = torch.cat([angle.sin(), angle.cos()], dim=-1)
        return self.mlp(features.to(self.mlp[0].weight.dtype))
