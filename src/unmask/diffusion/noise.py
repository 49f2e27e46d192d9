"""Counter-based noise: every draw is a pure function of (seed, key, stream, index).

A run resumes bit-exactly and N ranks equal one because a training example's noise depends only on the run's seed
and on the example's place in the global order; a sampled row does not depend on its batch mates because its key is its
own.
The mixer is the finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").

Letters: B rows, N draws a row.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift (torch's is arithmetic)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(x: int) -> int:
    """Wrap a Python integer to a signed 64-bit one."""
    return (x + 2**63) % 2**64 - 2**63


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


@lru_cache
def _begun(seed: int) -> int:
    return int(_mix(torch.tensor(_signed(seed * _GOLDEN + 1))))


class Noise:
    """Random numbers for a batch of rows, each with its own key.

    Args:
        seed: The run's or the request's seed.
        keys: One integer a row: the example's place in the run's order, or a sampler row's own seed and step.
    """

    def __init__(self, seed: int, keys: Int[Tensor, " B"]) -> None:
        self.keys = _mix(keys * _GOLDEN + _begun(seed))

    def fold(self, *numbers: Int[Tensor, " B"]) -> Noise:
        """Return independent noise for each (key, numbers): steps of a sampler, draws of a bound."""
        child = object.__new__(Noise)
        child.keys = self.keys
        for number in numbers:
            child.keys = _mix(child.keys + (number + 1) * _GOLDEN)
        return child

    def uniform(self, stream: str, n: int) -> Float[Tensor, "B N"]:
        """Return float64 uniforms in [0, 1), 53 random bits each. Streams with other names are independent."""
        salt = zlib.crc32(stream.encode()) + 1
        index = torch.arange(1, n + 1, device=self.keys.device, dtype=torch.int64)
        bits = _mix(_mix(self.keys + _signed(salt * _GOLDEN))[:, None] + index[None, :] * _GOLDEN)
        return _shift(bits, 11).to(torch.float64) * 2.0**-53

    def normal(self, stream: str, n: int) -> Float[Tensor, "B N"]:
        """Return float32 standard normals (Box and Muller 1958), two from each pair of uniforms."""
        half = -(-n // 2)
        u = self.uniform(stream, 2 * half)
        radius = (-2 * (1 - u[:, ::2]).log()).sqrt()
        angle = 2 * torch.pi * u[:, 1::2]
        return torch.stack([radius * angle.cos(), radius * angle.sin()], -1).flatten(1)[:, :n].float()
