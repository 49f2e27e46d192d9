"""What the byte network costs a byte: floating-point operations and kept activations.

Letters: T bytes, D width, M width of the memory, F of a SwiGLU layer, p bytes a patch.
"""

from __future__ import annotations

from unmask.models.bytes_config import BytesConfig


def mean_patch(config: BytesConfig) -> float:
    """Return the bytes a patch that the configuration asks for."""
    if config.patcher == "none":
        return 1.0
    options = config.patcher_options or {}
    if config.patcher == "fixed":
        return float(options.get("stride", 4))
    return config.patch_size or 4.5


def byte_flops(config: BytesConfig, length: int, latent: int, asked: float = 1.0) -> float:
    """Return floating-point operations a byte of one forward pass (a multiply-add is two).

    Args:
        config: Of the network.
        length: Bytes in the block (T); attention is counted in full, as computed.
        latent: Numbers in the matrices of what stands between; each patch passes them once.
        asked: Share of positions whose logits are computed.
    """
    d, m, f, size = config.hidden_size, config.decoder_memory_dim, config.intermediate_size, mean_patch(config)
    patches = length / size
    encoder = config.num_encoder_layers * (4 * d * d + 3 * d * f + 2 * length * d)
    pooling = 2 * d * d + 2 * patches * d + d * d / size
    mixing = config.latent_layers * 2 * patches * m if config.latent == "transformer" else 0
    if config.latent == "wubu":
        mixing = 3 * patches * sum(config.levels.hyperbolic_dims)
    between = (latent + mixing) / size
    decoder = config.num_hidden_layers * (4 * d * d + 2 * length * d)
    decoder += (config.num_hidden_layers - 1 + asked) * 3 * d * f
    if config.memory_read == "attention":
        decoder += config.num_hidden_layers * (2 * d * d + 2 * d * m / size + 2 * patches * d)
    else:
        decoder += d * m / size
    return 2.0 * (encoder + pooling + between + decoder + asked * d * config.vocab_size)


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
