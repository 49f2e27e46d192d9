"""Scaled dot products, softmax(Q K' / sqrt(E) + bias) V, with a gradient of our own where PyTorch's is slow.

In bfloat16 on a CPU the backward pass of PyTorch's fused attention takes three to five times as long as in float32
(128 tokens, torch 2.13, AVX-512), and was 40 % of a training step. There the products are written out, as long as the
weights P, which are then kept, are few. With P = softmax(S), O = P V and the gradient G of O:

    dV = P' G,   dP = G V',   dS = P (dP - sum(dP P)),   dQ = dS K / sqrt(E),   dK = dS' Q / sqrt(E)

Letters: B batch, T queries, S keys, H heads, G key heads, E head width.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_MOST = 512
"""Keys up to which the weights are kept."""


class _Written(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        ctx.shape, ctx.scale = query.shape[:2], query.shape[-1] ** -0.5
        q, k, v = (part.reshape(-1, *part.shape[2:]) for part in (query, key, value))
        with torch.autocast("cpu", enabled=False):
            score = torch.bmm(q, k.transpose(1, 2))
            if bias is None:
                score.mul_(ctx.scale)
            else:
                each = score.unflatten(0, ctx.shape)
                torch.add(bias, each, alpha=ctx.scale, out=each)
            weights = score.softmax(-1)
            ctx.save_for_backward(q, k, v, weights)
            return torch.bmm(weights, v).unflatten(0, ctx.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights = ctx.saved_tensors
        grad = grads[0].reshape(-1, *grads[0].shape[2:])
        inner = torch._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), weights, -1, weights.dtype)
        inner.mul_(ctx.scale)
        found = torch.bmm(inner, k), torch.bmm(inner.transpose(1, 2), q), torch.bmm(weights.transpose(1, 2), grad)
        return *(part.unflatten(0, ctx.shape) for part in found), None


def attend(
    query: Float[Tensor, "B H T E"],
    key: Float[Tensor, "B G S E"],
    value: Float[Tensor, "B G S E"],
    mask: Tensor | None = None,
    causal: bool = False,
) -> Float[Tensor, "B H T E"]:
    """Return the attended values, as ``F.scaled_dot_product_attention`` does.

    Args:
        query: Queries; H is a multiple of G.
        key: Keys.
        value: Values.
        mask: Broadcastable to [B, H, T, S]: true where a query sees a key, or what is added to the scores.
        causal: A query sees the keys up to its own place; not with a mask.
    """
    several = query.shape[1] // key.shape[1]
    half = query.device.type == "cpu" and query.dtype == key.dtype == value.dtype == torch.bfloat16
    if not half or key.shape[2] > _MOST or (mask is not None and mask.requires_grad):
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=several != 1
        )
    if several != 1:
        key, value = (part.repeat_interleave(several, 1) for part in (key, value))
    if causal:
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
    out: Tensor = _Written.apply(query, key, value, mask)
    return out
