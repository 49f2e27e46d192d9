"""What patches pass between encoder and decoder: nested hyperbolic levels, a transformer, or nothing.

    m = RMSNorm(W p + Wubu(p)),    RMSNorm(Blocks(W p)),    RMSNorm(W p)

The three have the same ends, so that they are rivals inside one network; with ``wubu.euclidean`` the first is its own
flat twin. Patches see the patches before them, or all of their piece under bidirectional visibility.

Letters: B batch, P patches, n new ones, D width of a patch, M of what the decoder reads.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unmask.models.byte_encoder import blocks_config
from unmask.models.bytes_config import BytesConfig
from unmask.models.cache import KVCache
from unmask.models.cuts import Cuts
from unmask.models.fused import RMSNorm
from unmask.models.rope import rotary
from unmask.models.transformer_block import Block
from unmask.models.wubu import WubuStack, visible
from unmask.models.wubu_past import WubuPast


class PatchLatent(nn.Module):
    """From patch vectors to the decoder's memory."""

    def __init__(self, config: BytesConfig) -> None:
        super().__init__()
        width, memory, heads = config.hidden_size, config.decoder_memory_dim, config.num_attention_heads
        self.angle, self.theta = memory // heads, config.rope_theta
        self.enter = nn.Linear(width, memory, bias=False)
        self.stack = WubuStack(config.levels, width, memory) if config.latent == "wubu" else None
        layers = config.latent_layers if config.latent == "transformer" else 0
        inner = blocks_config(config, memory, heads, max(layers, 1), config.latent_intermediate_size)
        self.blocks = nn.ModuleList(Block(inner, layer) for layer in range(layers))
        self.norm = RMSNorm(memory, eps=config.rms_norm_eps)

    def forward(self, patches: Float[Tensor, "B P D"], cuts: Cuts, causal: bool) -> Float[Tensor, "B P M"]:
        """Return the memory of whole texts."""
        x = self.enter(patches)
        if self.stack is not None:
            x = x + self.stack(patches, cuts.valid, cuts.piece, causal).to(x.dtype)
        elif self.blocks:
            places = torch.arange(cuts.count, device=x.device)[None]
            seen = visible(patches, cuts.valid, cuts.piece, causal)[:, None]
            for block in self.blocks:
                x = block(x, rotary(places, self.angle, self.theta), seen, False, None, places)
        memory: Tensor = self.norm(x)
        return memory

    def grown(
        self, patches: Float[Tensor, "B n D"], at: Int[Tensor, "B n"], count: int, past: KVCache | WubuPast | None
    ) -> Float[Tensor, "B n M"]:
        """Return the memory of patches that follow those in ``past``, which takes them in.

        Args:
            patches: New patches of texts of one piece; padded behind.
            at: Their numbers.
            count: Patches of the text that has most, the new ones included.
            past: From :meth:`new_past`.
        """
        x = self.enter(patches)
        if isinstance(past, WubuPast) and self.stack is not None:
            x = x + self.stack.grown(patches, at, count, past).to(x.dtype)
        elif isinstance(past, KVCache):
            seen: Bool[Tensor, "B 1 n P"] = past.visible(at, count)
            for block in self.blocks:
                x = block(x, rotary(at, self.angle, self.theta), seen, False, past, at)
        memory: Tensor = self.norm(x)
        return memory

    def new_past(self, rows: int, capacity: int) -> KVCache | WubuPast | None:
        """Return what :meth:`grown` begins with."""
        like = self.enter.weight
        if self.stack is not None:
            return WubuPast.empty(self.stack.options.hyperbolic_dims, rows, capacity, like)
        if not self.blocks:
            return None
        return KVCache.empty(len(self.blocks), rows, len(like) // self.angle, capacity, self.angle, like)
