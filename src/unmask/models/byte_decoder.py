"""From patches back to bytes: causal layers over the bytes that read the memory of finished patches.

    attention   x <- x + O softmax(Q x_t . K m_k) V m_k   over finished patches k, before each block
    last        x <- x + W m_k                            of the last finished patch k, once

Queries and keys turn by the numbers of their patches (the query's is that of the patch to come), so that the decoder
knows how far back each patch lies. Position t, which predicts byte t + 1, reads patches that are finished once byte t
is read: none of them holds byte t + 1 or a later one. ``last`` is what MegaByte and SpaceByte do (arXiv 2305.07185,
2404.14408).

Letters: B batch, T bytes, P patches, D width, M width of the memory, H heads, E head width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unmask.models.attention import attend
from unmask.models.bytes_config import BytesConfig
from unmask.models.cache import KVCache
from unmask.models.fused import RMSNorm, rotate
from unmask.models.rope import Rotary


class MemoryAttention(nn.Module):
    """Bytes attend to patches, behind a norm.

    Args:
        config: Of the network.
        layer: Which of the decoder's layers it stands before.
    """

    def __init__(self, config: BytesConfig, layer: int) -> None:
        super().__init__()
        width, memory = config.hidden_size, config.decoder_memory_dim
        self.heads, self.layer = config.num_attention_heads, layer
        self.norm = RMSNorm(width, eps=config.rms_norm_eps)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(memory, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def keys(self, memory: Float[Tensor, "B P M"], by: Rotary) -> tuple[Float[Tensor, "B H P E"], ...]:
        """Return keys and values of patches."""
        batch, count, _ = memory.shape
        key, value = self.key_value(memory).view(batch, count, 2 * self.heads, -1).transpose(1, 2).chunk(2, 1)
        return rotate(key, *by), value

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        by: Rotary,
        keys: tuple[Float[Tensor, "B H P E"], ...],
        mask: Bool[Tensor, "B 1 T P"],
    ) -> Float[Tensor, "B T D"]:
        """Return what is added to each byte; nothing where it sees no patch."""
        batch, length, width = x.shape
        query = rotate(self.query(self.norm(x)).view(batch, length, self.heads, -1).transpose(1, 2), *by)
        some = mask.any(-1, keepdim=True)
        key, value = (part.to(x.dtype) for part in keys)
        mixed = attend(query, key, value, mask | ~some) * some
        read: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return read


class LastMemory(nn.Module):
    """The memory of one patch for each byte."""

    def __init__(self, config: BytesConfig) -> None:
        super().__init__()
        self.out = nn.Linear(config.decoder_memory_dim, config.hidden_size, bias=False)

    def forward(self, memory: Float[Tensor, "B P M"], which: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Return what is added to each byte; nothing where ``which`` is below 0."""
        read = self.out(memory)
        rows = torch.arange(len(read), device=read.device)[:, None]
        return read[rows, which.clamp(min=0)] * (which >= 0)[..., None]


def finished(
    done: Int[Tensor, "B T"], own: Int[Tensor, "B T"], piece: Int[Tensor, "B P"], causal: bool
) -> Bool[Tensor, "B 1 T P"]:
    """Return which patches each position reads: the finished ones of its piece, or all of it.

    Args:
        done: Patches that are finished after each position.
        own: Document piece of each position.
        piece: Of each patch, -1: no patch.
        causal: Only finished ones.
    """
    seen = (own[:, :, None] == piece[:, None, :]) & (piece >= 0)[:, None, :]
    if causal:
        seen = seen & (torch.arange(piece.shape[1], device=piece.device) < done[:, :, None])
    return seen[:, None]


def stored(reads: nn.ModuleList, cache: KVCache, memory: Float[Tensor, "B n M"], by: Rotary, at: Tensor) -> None:
    """Write the keys and values of new patches, at their numbers, for every layer."""
    for read in reads:
        assert isinstance(read, MemoryAttention)
        cache.write(read.layer, *read.keys(memory, by), at)
