"""What the eco network costs: floating-point operations, and numbers kept for the backward pass.

Letters: T tokens, D width, k taps, M slots, A inner width of the memory's attention, H heads, w window.
"""

from __future__ import annotations

from unmask.models.eco_config import EcoConfig
from unmask.models.slots import folds
from unmask.models.thought_cost import beside, reader_flops


def eco_flops(config: EcoConfig, length: int, asked: float = 1.0) -> float:
    """Return floating-point operations a token of one forward pass of one document a row (a multiply-add is two).

    Args:
        config: Sizes.
        length: Tokens in the block (T).
        asked: Share of positions whose logits are computed; the last block's SwiGLU runs there alone, too.
    """
    width, layers = config.hidden_size, config.num_hidden_layers
    more = beside(config)[1]  # vectors of thoughts are slots, too
    slots = config.memory_slots + config.slow_slots + more
    slow_updates = (layers - 1) // config.slow_every if config.slow_slots else 0
    total = layers * (config.conv_kernel * width + width**2) + layers * _attention(config, length, slots)
    total += (layers - 1) * _update(config, length, config.memory_slots + more)
    total += slow_updates * _update(config, length, config.slow_slots)
    if config.input_slots:
        total += _attention(config, length, config.memory_slots)
    if config.window_every:
        keys = length if length <= 3 * config.window else 3 * config.window
        total += layers // config.window_every * (4 * width**2 + 2 * keys * width)
    total += (layers - 1 + asked) * 3 * width * config.intermediate_size
    read = reader_flops(config, length) if more else 0.0
    return 2.0 * (total + asked * width * config.vocab_size) + read


def _attention(config: EcoConfig, length: int, slots: int) -> float:
    """Return the products of reading the slots, or of the slots reading the tokens: as many either way."""
    width, inner, heads = config.hidden_size, config.memory_size, config.num_attention_heads
    projected = 2 * slots * width * inner / length
    if folds(length, slots, width, inner, heads):
        return projected + 2 * heads * slots * width + 2 * slots * inner * width / length
    return projected + 2 * inner * (width + slots)


def _update(config: EcoConfig, length: int, slots: int) -> float:
    mlp = 3 * slots * config.hidden_size * config.memory_intermediate_size / length
    return _attention(config, length, slots) + mlp


def eco_kept(config: EcoConfig) -> float:
    """Return the numbers that a token keeps for the backward pass, logits aside.

    Norms keep their input normed and their output; a SwiGLU four vectors; the convolution's branch three; and the
    memory's attention its weights (folded) or its projections.
    """
    width, inner = config.hidden_size, config.memory_size
    weights = config.num_attention_heads * (2 * config.memory_slots + config.slow_slots)
    memory = max(weights, 5 * inner)
    each = 11 * width + 4 * config.intermediate_size + memory
    windows = config.num_hidden_layers // config.window_every if config.window_every else 0
    return config.num_hidden_layers * each + windows * 10 * width
