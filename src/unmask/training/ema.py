"""An exponential moving average of the weights: shadow <- d shadow + (1 - d) weights, with the decay warmed up.

d_n = min(d, (1 + n) / (10 + n)), so that short runs are not averages of their initialisation.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FILE = "ema.safetensors"


class EMA:
    """The average of a model's trainable parameters.

    Args:
        model: The model to follow.
        decay: Upper end of the decay d.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards the weights after optimiser step number ``step`` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = dict(model.named_parameters())
        torch._foreach_lerp_(list(self.shadow.values()), [weights[n] for n in self.shadow], 1 - decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the weights with the average; a second call undoes the first."""
        for name, parameter in model.named_parameters():
            if name in self.shadow:
                held = parameter.detach().clone()
                parameter.copy_(self.shadow[name])
                self.shadow[name].copy_(held)

    def save(self, folder: Path) -> None:
        """Write the average beside a checkpoint."""
        save_file({n: t.contiguous() for n, t in self.shadow.items()}, folder / FILE)

    def load(self, folder: Path) -> None:
        """Read the average of a checkpoint."""
        stored: dict[str, Tensor] = load_file(folder / FILE)
        for name, tensor in self.shadow.items():
            if stored[name].shape != tensor.shape:
                raise ValueError(f"{FILE}: {name} has the shape {tuple(stored[name].shape)}")
            tensor.copy_(stored[name])
