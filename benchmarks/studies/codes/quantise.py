"""Latent numbers rounded to a few levels, and packed into exactly as many bytes as they need.

    u = tanh(z),   k = round((L - 1) (u + 1) / 2),   q = 2 k / (L - 1) - 1,      L = 2^bits

The gradient passes as if q were u (straight through: Bengio et al. 2013, arXiv 1308.3432). Finite scalar quantisation
(Mentzer et al. 2023, arXiv 2309.15505): no codebook that could go unused.

Letters: N vectors, A latents, m = A bits / 8 bytes.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from unmask.errors import Error

BITS = (1, 2, 4, 8)


def latents(bytes: int, bits: int) -> int:
    """Return A, the number of latents that fill ``bytes``.

    Raises:
        Error: bits that do not pack into bytes, or no bytes.
    """
    if bits not in BITS or bytes < 1:
        raise Error(f"latents of {bits} bits in {bytes} bytes do not exist; use 1, 2, 4 or 8 bits, and a byte or more.")
    return 8 * bytes // bits


def straight_through(z: Float[Tensor, "N A"], bits: int) -> Float[Tensor, "N A"]:
    """Return q, with the gradient of u."""
    u = z.tanh()
    top = 2**bits - 1
    rounded = 2 * ((u + 1) / 2 * top).round() / top - 1
    found: Tensor = u + (rounded - u).detach()
    return found


def pack(z: Float[Tensor, "N A"], bits: int) -> UInt8[np.ndarray, "N m"]:
    """Return k of all latents as bytes, the first latent in the highest bits."""
    k = ((z.tanh() + 1) / 2 * (2**bits - 1)).round().to(torch.uint8).numpy()
    each = np.unpackbits(k[:, :, None], axis=2)[:, :, 8 - bits :]
    return np.packbits(each.reshape(len(k), -1), axis=1)


def unpack(codes: UInt8[np.ndarray, "N m"], bits: int) -> Float[Tensor, "N A"]:
    """Return q of packed codes."""
    each = np.unpackbits(codes, axis=1).reshape(len(codes), -1, bits)
    k = each @ (1 << np.arange(bits - 1, -1, -1))
    return torch.from_numpy(2 * k / (2**bits - 1) - 1).float()
