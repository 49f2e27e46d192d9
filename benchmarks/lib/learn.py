"""Training small networks on fresh texts: warm-up, a constant rate, and a linear end over the last three tenths."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def learn(model: nn.Module, loss: Callable[[int], Tensor], steps: int, rate: float) -> None:
    """Train a network in place.

    Args:
        model: The network; it is left in evaluation mode.
        loss: The loss of a step.
        steps: How many.
        rate: Highest learning rate.
    """
    optimiser = torch.optim.AdamW(model.parameters(), rate, (0.9, 0.99), weight_decay=0.01, fused=True)
    warm = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: min(1, (n + 1) / 50, (steps - n) / (0.3 * steps)))
    model.train()
    for step in range(steps):
        loss(step).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        warm.step()
    model.eval()
