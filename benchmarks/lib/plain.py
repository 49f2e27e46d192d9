"""The rivals: plain transformers in plain PyTorch, with logits at every position, and their training losses.

Written the way small trainers are usually written, with a tied head; masked diffusion as tokens replaced by the mask,
all logits computed, cross-entropy on the masked ones. Two styles: ``gpt`` (LayerNorm, GELU, learned positions) and
``llama`` (RMSNorm, SwiGLU, rotary positions), which has the layers of our own network, and so shows what computing
fewer logits gives.

Letters: B batch, T tokens, D width, V vocabulary, H heads, E head width.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

Style = Literal["gpt", "llama"]


def apply_rotary(x: Float[Tensor, "B H T E"], cos: Float[Tensor, "T E"], sin: Float[Tensor, "T E"]) -> Tensor:
    """Turn queries or keys by their positions."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class PlainBlock(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, style: Style, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.style = style
        self.heads = heads
        self.norm1, self.norm2 = (
            nn.LayerNorm(width, bias=False) if style == "gpt" else nn.RMSNorm(width, eps=1e-5) for _ in range(2)
        )
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.gate = nn.Linear(width, inner, bias=False) if style == "llama" else None
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Float[Tensor, "B T D"], causal: bool, rotary: tuple[Tensor, Tensor]) -> Float[Tensor, "B T D"]:
        """Apply the block."""
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (p.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for p in parts)
        if self.style == "llama":
            q, k = apply_rotary(q, *rotary), apply_rotary(k, *rotary)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        h = self.norm2(x)
        return x + self.down(F.gelu(self.up(h)) if self.gate is None else F.silu(self.gate(h)) * self.up(h))


class PlainTransformer(nn.Module):
    """Embeddings, blocks, tied head: logits everywhere."""

    def __init__(
        self, style: Style, vocab_size: int, length: int, width: int, layers: int, heads: int, inner: int
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(length, width) if style == "gpt" else None
        self.blocks = nn.ModuleList(PlainBlock(style, width, heads, inner) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False) if style == "gpt" else nn.RMSNorm(width, eps=1e-5)
        self.head = nn.Linear(width, vocab_size, bias=False)
        self.head.weight = self.tokens.weight
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
        size = width // heads
        angle = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
        angle = torch.cat([angle, angle], dim=-1)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, tokens: Int[Tensor, "B T"], causal: bool) -> Float[Tensor, "B T V"]:
        """Return the logits of all positions."""
        x = self.tokens(tokens)
        if self.positions is not None:
            x = x + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x, causal, (self.cos, self.sin))
        return self.head(self.norm(x))


def masked_loss(model: PlainTransformer, tokens: Int[Tensor, "B T"], mask_id: int) -> Tensor:
    """Return the cross-entropy on masked tokens, t uniform."""
    rate = torch.rand(len(tokens), 1, device=tokens.device).clamp(min=1e-3)
    hidden = torch.rand(tokens.shape, device=tokens.device) < rate
    logits = model(torch.where(hidden, mask_id, tokens), causal=False)
    return F.cross_entropy(logits[hidden].float(), tokens[hidden])


def causal_loss(model: PlainTransformer, tokens: Int[Tensor, "B T"]) -> Tensor:
    """Return the next-token cross-entropy."""
    logits = model(tokens, causal=True)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())
