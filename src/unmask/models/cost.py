"""What a network costs: parameters, floating-point operations a token, and an estimate of the memory to train it.

Each network counts its own operations, ``model.flops(length, asked)``; the transformer's count is here.
"""

from __future__ import annotations

from typing import Any

from torch import nn


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters, tied ones counted once."""
    return sum(p.numel() for p in model.parameters())


def forward_flops(config: Any, length: int, asked: float = 1.0) -> float:
    """Return floating-point operations a token of one forward pass (a multiply-add is two).

    Args:
        config: A :class:`TransformerConfig`.
        length: Tokens in the block (T); attention is counted in full, as the kernels compute it without a causal cut.
        asked: Share of positions whose logits are computed; the last block's SwiGLU runs there alone, too.
    """
    width = config.hidden_size
    head = width // config.num_attention_heads
    qkv = width * (config.num_attention_heads + 2 * config.num_key_value_heads) * head
    attention = config.num_hidden_layers * (qkv + width * width + 2 * length * width)
    feed = (config.num_hidden_layers - 1 + asked) * 3 * width * config.intermediate_size
    return 2.0 * (attention + feed + asked * width * config.vocab_size)


def training_memory(config: Any, parameters: int, batch: int, length: int, asked: float = 1.0, ema: bool = True) -> int:
    """Return an estimate, in bytes, of the peak memory of float32 training with AdamW.

    Weights, gradients, two moments and the average; activations kept for the backward pass; logits and their gradient.
    """
    fixed = parameters * 4 * (4 + int(ema))
    per_token = config.num_hidden_layers * (12 * config.hidden_size + 4 * config.intermediate_size)
    logits = 3 * asked * config.vocab_size
    return int(fixed + 4 * batch * length * (per_token + logits))
