"""What the byte network costs a byte: floating-point operations and kept activations.

Letters: T bytes, D width, M width of the memory, F of a SwiGLU layer, p bytes a patch.
"""

from __future__ import annotations

from unmask.data.patches import make_patcher
from unmask.data.patches.patcher import PATCHERS, PATIENCE
from unmask.models.bytes_config import BytesConfig
from unmask.models.bytes_options import SPECIALS
from unmask.models.patch_attention import span


def mean_patch(config: BytesConfig) -> float:
    """Return the bytes a patch that the configuration asks for."""
    if config.patcher == "none":
        return 1.0
    options = config.patcher_options or {}
    if config.patcher == "fixed":
        return float(options.get("stride", 4))
    return config.patch_size or 4.5


def longest_patch(config: BytesConfig) -> int | None:
    """Return the longest patch to expect in a batch of text that is mostly ASCII; ``None``: no bound.

    A patch that waits for the end of a longer character may have up to three bytes more.
    """
    options, part = dict(config.patcher_options or {}), PATCHERS.get(config.patcher)
    if part.needs_entropy:
        most: int | None = part.Options.model_validate(options | {"theta": 0.0}).max_length
        return most
    patcher = make_patcher(config.patcher, options)
    if patcher.longest is None or patcher.ignores_content:
        return patcher.longest
    return patcher.longest - PATIENCE


def byte_flops(config: BytesConfig, length: int, latent: int, asked: float = 1.0) -> float:
    """Return floating-point operations a byte of one forward pass (a multiply-add is two).

    Args:
        config: Of the network.
        length: Bytes in the block (T). The decoder's attention is counted in full and the encoder's block by block, as
            both are computed: for the longest patch that is to be expected (:func:`longest_patch`), and under causal
            visibility, unless the network predicts each position from itself (``output_shift`` 0).
        latent: Numbers in the matrices of what stands between; each patch passes them once.
        asked: Share of positions whose logits are computed.
    """
    d, m, f, size = config.hidden_size, config.decoder_memory_dim, config.intermediate_size, mean_patch(config)
    patches = length / size
    met = span(length, longest_patch(config), causal=config.output_shift == 1)
    encoder = config.num_encoder_layers * (4 * d * d + 3 * d * f + 2 * met * d)
    pooling = 2 * d * d + 2 * patches * d + d * d / size
    mixing = config.latent_layers * 2 * patches * m if config.latent == "transformer" else 0
    if config.latent == "wubu":
        mixing = 3 * patches * sum(config.levels.hyperbolic_dims) if config.levels.patch_attention else 0
    between = (latent + mixing) / size
    decoder = config.num_hidden_layers * (4 * d * d + 2 * length * d)
    decoder += (config.num_hidden_layers - 1 + asked) * 3 * d * f
    if config.memory_read == "attention":
        decoder += config.num_hidden_layers * (2 * d * d + 2 * d * m / size + 2 * patches * d)
    else:
        decoder += d * m / size
    head = config.vocab_size
    if config.use_hierarchical_decoder:
        head = _classes(config.vocab_size) * 17  # a class, and sixteen places in it
    return 2.0 * (encoder + pooling + between + decoder + asked * d * head)


def _classes(vocab_size: int) -> int:
    return 1 + -(-(vocab_size - SPECIALS) // 16)


def byte_kept(config: BytesConfig) -> float:
    """Return the numbers that a byte keeps for the backward pass, logits aside."""
    d, m, f, size = config.hidden_size, config.decoder_memory_dim, config.intermediate_size, mean_patch(config)
    layers = config.num_encoder_layers + config.num_hidden_layers
    own = layers * (12 * d + 4 * f) + 4 * d
    if config.memory_read == "attention":
        own += config.num_hidden_layers * (5 * d + 2 * d / size)
    if config.latent == "transformer":
        inner = config.latent_intermediate_size or 8 * m // 3
        return own + config.latent_layers * (12 * m + 4 * inner) / size
    if config.latent == "wubu":
        return own + sum(40 * n for n in config.levels.hyperbolic_dims) / size
    return own + 2 * m / size
