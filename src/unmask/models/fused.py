"""Rotary embedding and RMSNorm with hand-written gradients: the same functions, fewer passes over memory on a CPU.

A rotation by an angle has the rotation by minus the angle as its gradient.
For n = x r, r = 1 / sqrt(mean(x^2) + eps), y = n w:

    dL/dw = sum(g n),   dL/dx = r (g w - n mean(g w n))

On a GPU PyTorch's own fused RMSNorm is used.

Letters: D width, E head width.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class _Rotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(grads[0], cos, sin, -1), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    a, b = x.to(cos.dtype).chunk(2, -1)
    out = torch.empty_like(x, dtype=cos.dtype)
    left, right = out.chunk(2, -1)
    torch.mul(a, cos, out=left).addcmul_(b, sin, value=-sign)
    torch.mul(b, cos, out=right).addcmul_(a, sin, value=sign)
    return out.to(x.dtype)


def rotate(x: Float[Tensor, "*B E"], cos: Float[Tensor, "*b e"], sin: Float[Tensor, "*b e"]) -> Float[Tensor, "*B E"]:
    """Turn each pair (x_i, x_{i+E/2}) by its angle (Llama's half-split layout).

    Args:
        x: Queries or keys.
        cos: Cosines of the E/2 angles, broadcastable.
        sin: Sines, likewise.
    """
    if x.dtype != torch.bfloat16 or x.device.type != "cpu":  # in bf16 a CPU does this four times as slowly
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return _Rotation.apply(x, cos, sin) if torch.is_grad_enabled() else _turn(x, cos, sin, 1)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = _scale(x, eps)
        normed = x * scale
        ctx.save_for_backward(normed, weight, scale)
        return normed * weight

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, weight, scale = ctx.saved_tensors
        grad = grads[0]
        inner = grad * normed
        mean = torch.mv(inner.reshape(-1, inner.shape[-1]), weight).view(scale.shape).div_(inner.shape[-1])
        by_x = (grad * weight).addcmul_(normed, mean, value=-1).mul_(scale)
        return by_x, inner.sum(tuple(range(inner.ndim - 1))), None


def _scale(x: Tensor, eps: float) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm (Zhang & Sennrich 2019, arXiv 1910.07467)."""

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Normalise the last dimension."""
        if x.is_cuda or x.dtype not in (torch.float32, torch.float64):
            return super().forward(x)
        if torch.is_grad_enabled():
            return _RMSNorm.apply(x, self.weight, self.eps)
        return (x * _scale(x, self.eps)).mul_(self.weight)
