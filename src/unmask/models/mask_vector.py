"""How the random vector of a mask enters a network: through a matrix that begins at 0, so that trained weights go on.

Letters: B batch, T tokens, D width, E width of the random vector.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.diffusion.noise import Noise
from unmask.diffusion.random_mask import RandomMask


class MaskVector(nn.Module):
    """E standard normals to one vector, the same at all masks of a stretch."""

    def __init__(self, random: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(random, width))

    def forward(self, given: RandomMask) -> Float[Tensor, "B T D"]:
        """Return what is added to the embeddings; 0 where there is no mask."""
        stretch = given.stretch
        number = torch.arange(int(stretch[-1]) + 1, device=stretch.device).expand(len(given.key), -1)
        keys = Noise(0, given.key[:, None].expand_as(number).flatten()).fold(number.flatten())
        drawn = keys.normal("mask vector", len(self.weight)).to(self.weight.dtype)
        vectors = (drawn @ self.weight).unflatten(0, number.shape)[:, stretch]
        return vectors * given.at[..., None].to(self.weight.dtype)
