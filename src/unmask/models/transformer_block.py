"""A block of the transformer: grouped-query attention and a feed-forward layer, each behind its norm.

x + Attention(norm(x)), then x + MLP(norm(x)). What open families do otherwise (biases, norms of queries and keys, other
norms and activations) are options of the same two classes.

Letters: B batch, T tokens, S keys, D width, H heads, G key heads, E head width, n asked positions.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.models.attention import attend
from unmask.models.cache import KVCache
from unmask.models.checkpointing import CheckpointedBlock
from unmask.models.config import TransformerConfig
from unmask.models.fused import RMSNorm, rotate
from unmask.models.norms import activated, inner_width, make_norm
from unmask.models.rope import Rotary
from unmask.models.token_places import Positions


class Attention(nn.Module):
    """Grouped-query self-attention through PyTorch's scaled dot product."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = config.num_attention_heads
        self.kv_heads = config.num_key_value_heads
        self.width = config.head_width
        self.qkv = nn.Linear(config.hidden_size, (self.heads + 2 * self.kv_heads) * self.width, bias=config.qkv_bias)
        self.out = nn.Linear(self.heads * self.width, config.hidden_size, bias=config.out_bias)
        self.query_norm = RMSNorm(self.width, eps=config.rms_norm_eps) if config.qk_norm else None
        self.key_norm = RMSNorm(self.width, eps=config.rms_norm_eps) if config.qk_norm else None

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        by: Rotary | None,
        mask: Bool[Tensor, "B 1 T T"] | None,
        causal: bool,
        cache: KVCache | None,
        at: Int[Tensor, "B T"] | slice,
    ) -> Float[Tensor, "B T D"]:
        """Attend; with a cache, write the new keys and values at ``at`` and read all that is visible.

        Without a mask they are at a slice and see all up to its end. Without angles nothing is turned.
        """
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, self.heads + 2 * self.kv_heads, self.width).transpose(1, 2)
        turned, v = qkv.split([self.heads + self.kv_heads, self.kv_heads], dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = turned.split([self.heads, self.kv_heads], dim=1)
            turned = torch.cat([self.query_norm(q), self.key_norm(k)], 1)
        turned = turned if by is None else rotate(turned, *by)
        q, k = turned.split([self.heads, self.kv_heads], dim=1)
        if cache is not None:
            cache.write(self.layer, k, v, at)
            upto = at.stop if mask is None and isinstance(at, slice) else mask.shape[-1]
            k, v = (part.to(q.dtype) for part in cache.read(self.layer, upto))
        return self.out(self._mixed(q, k, v, mask, causal).transpose(1, 2).reshape(batch, length, -1))

    def _mixed(
        self,
        q: Float[Tensor, "B H T E"],
        k: Float[Tensor, "B G S E"],
        v: Float[Tensor, "B G S E"],
        mask: Tensor | None,
        causal: bool,
    ) -> Float[Tensor, "B H T E"]:
        """Return the attended values."""
        return attend(q, k, v, mask, causal and mask is None)


class Block(CheckpointedBlock):
    """One pre-norm block."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.Identity() if config.embed_norm and layer == 0 else make_norm(config)
        self.attention = Attention(config, layer)
        self.mlp_norm = make_norm(config)
        self.gate_up = nn.Linear(config.hidden_size, inner_width(config), bias=config.mlp_bias)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.mlp_bias)
        self.mlp, self.dropout = config.mlp, config.dropout
        self.local = int(config.window > 0 and layer % config.window_every > 0)

    def run(  # type: ignore[override]
        self,
        x: Float[Tensor, "B T D"],
        by: Rotary | None,
        mask: Bool[Tensor, "B 1 T T"] | None,
        causal: bool,
        cache: KVCache | None,
        at: Int[Tensor, "B T"] | slice,
        asked: Positions | None = None,
    ) -> Float[Tensor, "B T D"] | Float[Tensor, "n D"]:
        """Apply attention and the feed-forward layer, each behind its norm, each added to the residual.

        With ``asked`` (rows, columns) the answer is [n, D]: those positions only.
        """
        x = x + self._drop(self.attention(self.attention_norm(x), by, mask, causal, cache, at))
        if asked is not None:
            x = x[asked]
        return x + self._drop(self.down(activated(self.gate_up(self.mlp_norm(x)), self.mlp)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x
