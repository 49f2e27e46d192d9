"""What a network costs: parameters, floating-point operations a token, and an estimate of the memory to train it.

Each network counts its own, ``model.flops(length, asked)`` and ``model.kept()``; the transformer's counts are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from unmask.models.transformer_options import GATED

if TYPE_CHECKING:
    from unmask.models.config import NetworkConfig
    from unmask.models.network import Denoiser


def without_memory(kind: type[Denoiser], config: NetworkConfig) -> Denoiser:
    """Return a network that has shapes and no memory (the meta device), to be counted.

    Args:
        kind: Its class, imported by now: what a module makes meanwhile would have no memory either.
        config: Its configuration.
    """
    with torch.device("meta"):
        return kind(config)


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters, tied ones counted once; matrices in 8 bits are some, too."""
    rounded = sum(value.numel() for value in model.buffers() if value.dtype == torch.int8)
    return sum(p.numel() for p in model.parameters()) + rounded


def forward_flops(config: Any, length: int, asked: float = 1.0) -> float:
    """Return floating-point operations a token of one forward pass (a multiply-add is two).

    Args:
        config: A :class:`TransformerConfig`.
        length: Tokens in the block (T); attention is counted in full, as the kernels compute it without a causal cut.
        asked: Share of positions whose logits are computed; the last block's SwiGLU runs there alone, too.

    With ``candidate_input: full`` the pass is one that has candidates: K + 1 slots a position, in every layer.
    """
    slots = slots_of(config)
    width = config.hidden_size
    mixed = config.num_attention_heads * config.head_width
    qkv = width * (mixed + 2 * config.num_key_value_heads * config.head_width)
    attention = config.num_hidden_layers * slots * (qkv + mixed * width + 2 * length * slots * mixed)
    products = 3 if config.mlp in GATED else 2
    feed = slots * (config.num_hidden_layers - 1 + asked) * products * width * config.intermediate_size
    head = width * config.vocab_size + (width * width if config.head_mlp else 0)
    return 2.0 * (attention + feed + asked * head)


def slots_of(config: Any) -> int:
    """Return how many places of the network a position takes."""
    return 1 + config.candidates if config.candidate_input == "full" else 1


def forward_kept(config: Any, length: int) -> float:
    """Return the numbers that a token keeps for the transformer's backward pass, logits aside.

    A block keeps ten vectors of the width (two norms, what they make, queries, keys, values and what is mixed of them)
    and four of its SwiGLU; attention by a learned bias, which candidates need, its weights besides.

    Args:
        config: A :class:`TransformerConfig`.
        length: Tokens in the block (T).
    """
    slots, width = slots_of(config), config.hidden_size
    block = slots * (10 * width + 4 * config.intermediate_size)
    if slots > 1:
        block += slots * config.num_attention_heads * length * slots
    return config.num_hidden_layers * block + 2 * slots * width


HEAP = 1.35
"""Memory that a CPU's C library holds for each byte of activations: blocks that were freed in another order than they
were taken. With glibc 1.2 to 1.5 in the nano recipes, see ``benchmarks.speed.train_memory``; weights stay."""


def training_memory(
    parameters: int,
    kept: float,
    vocab_size: int,
    batch: int,
    length: int,
    asked: float = 1.0,
    ema: bool = True,
    heap: float = HEAP,
) -> int:
    """Return an estimate, in bytes, of the peak memory that the steps of float32 training with AdamW take.

    Weights, gradients, two moments and the average; activations kept for the backward pass; logits, their softmax and
    their gradient. Not in it: Python, PyTorch and what they load (about half a gigabyte), data, evaluation.

    Args:
        parameters: Of the network.
        kept: Numbers that a token keeps for the backward pass, ``model.kept()``.
        vocab_size: Logits of an asked position.
        batch: Rows of a step.
        length: Tokens in a row.
        asked: Share of positions whose logits are computed, in the step that asks most.
        ema: Whether an average of the weights is kept.
        heap: What is held for each byte of activations and logits.
    """
    fixed = parameters * 4 * (4 + int(ema))
    return int(fixed + heap * 4 * batch * length * (kept + 3 * asked * vocab_size))
