"""Rotary positions: cosine and sine of each place's angles, and the rules by which open families stretch them.

Su et al. 2021 (arXiv 2104.09864), in Llama's half-split layout. Rules: ``linear`` divides every angle by a factor
(Chen et al. 2023, arXiv 2306.15595); ``llama3`` divides slow ones, keeps fast ones and blends between.

Letters: B batch, T tokens, E head width, e = E / 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

Rotary = tuple[Float[Tensor, "B 1 T e"], Float[Tensor, "B 1 T e"]]


def rotary(positions: Int[Tensor, "B T"], width: int, theta: float, rule: Mapping[str, Any] | None = None) -> Rotary:
    """Return cosine and sine of the E/2 angles of each position.

    Args:
        positions: Places.
        width: Of a head (E).
        theta: Base of the angles.
        rule: How they are stretched, see ``rope_rule`` in :mod:`unmask.models.transformer_options`.
    """
    stretched = tuple(sorted(rule.items())) if rule else ()
    angle = positions[:, None, :, None].float() * _frequencies(width, theta, positions.device, stretched)
    return angle.cos(), angle.sin()


@lru_cache
@torch.inference_mode(False)
def _frequencies(
    width: int, theta: float, device: torch.device, rule: tuple[tuple[str, Any], ...]
) -> Float[Tensor, " e"]:
    plain = theta ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    told = dict(rule)
    if not told:
        return plain
    if told["type"] == "linear":
        return plain / told["factor"]
    turns = told["original"] * plain / (2 * math.pi)  # of an angle over the length that was trained first
    low, high = told["low_freq_factor"], told["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return plain * (kept + (1 - kept) / told["factor"])
