"""Blocks that keep their inputs alone for the backward pass and compute the rest again: less memory, more time.

Source: Chen et al. 2016, arXiv 1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint


class CheckpointedBlock(nn.Module):
    """A block whose answer may be computed twice. A subclass has ``run`` in place of ``forward``.

    Attributes:
        again: Computes ``run`` so that the backward pass can compute it again; ``None``: it is kept whole.
    """

    again: Callable[..., Any] | None = None

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether it is computed again."""
        return self.again is not None

    def forward(self, *given: Any) -> Any:
        """Return what ``run`` returns."""
        if self.again is not None and self.training:
            return self.again(self.run, *given)
        return self.run(*given)

    def run(self, *given: Any) -> Any:
        """Compute the block's answer."""
        raise NotImplementedError


def checkpoint_blocks(
    model: nn.Module, given: dict[str, Any] | None = None, every_n_layers: int = 1, offload: bool = False
) -> None:
    """Let every n-th block of a network be computed again in the backward pass.

    Args:
        model: The network.
        given: Options of ``torch.utils.checkpoint.checkpoint``.
        every_n_layers: n.
        offload: Keep the inputs in the host's memory.
    """
    again: Callable[..., Any] = partial(checkpoint, **(given or {"use_reentrant": False}))
    if offload:
        again = partial(_from_host, again)
    blocks = (block for block in model.modules() if isinstance(block, CheckpointedBlock))
    for number, block in enumerate(blocks):
        block.again = again if number % every_n_layers == 0 else None


def _from_host(again: Callable[..., Any], run: Callable[..., Any], *given: Any) -> Any:
    device = (torch.accelerator.current_accelerator() or torch.device("cpu")).type
    with save_on_cpu(pin_memory=True, device_type=device):
        return again(run, *given)
