"""The nats of tokens on a CPU, -log softmax(logits)[target], in half the passes over [n, V] and the same bits.

Logits are copied once and their log-softmax L takes the place of the copy; the gradient, g (exp(L) - target), that of
the targets. A token that is never predicted has L = -inf, and so a gradient of 0.

Letters: n positions, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


class _Nats(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, never: int | None) -> Tensor:
        log_p = logits.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if never is not None:
            log_p[:, never] = -torch.inf
        torch._log_softmax(log_p, 1, False, out=log_p)
        ctx.dtype = logits.dtype
        ctx.save_for_backward(log_p, targets)
        return log_p.gather(1, targets[:, None])[:, 0].neg_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        log_p, targets = ctx.saved_tensors
        by_logits = torch.zeros_like(log_p).scatter_(1, targets[:, None], -grads[0][:, None])
        torch._log_softmax_backward_data(by_logits, log_p, 1, torch.float32, out=by_logits)
        return by_logits.to(ctx.dtype), None, None


def nats_on_cpu(
    logits: Float[Tensor, "n V"], targets: Int[Tensor, " n"], never: int | None = None
) -> Float[Tensor, " n"]:
    """Return -log p(target) in float32.

    Args:
        logits: On a CPU; they stay as they are.
        targets: Token ids.
        never: A token that is taken out of the distribution.
    """
    found: Tensor = _Nats.apply(logits, targets, never)
    return found
