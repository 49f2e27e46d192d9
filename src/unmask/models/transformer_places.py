"""Where the transformer believes its words to be: rotary angles, learned vectors, and windows of what a block sees.

Letters: B batch, T tokens, S keys, D width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.models.rope import Rotary, rotary
from unmask.models.visibility import near

View = tuple[Rotary | None, Bool[Tensor, "B 1 T S"] | None]
"""Angles and mask of a block."""


def placed(
    x: Float[Tensor, "B T D"], positions: Int[Tensor, "B T"], place: nn.Embedding | None, norm: nn.Module | None
) -> Float[Tensor, "B T D"]:
    """Return embeddings with what the network adds to them for their places, and their norm.

    Args:
        x: Embeddings of tokens.
        positions: Their places.
        place: A vector of each place; ``None``: it has none.
        norm: Of the sum; ``None``: it has none.

    Raises:
        Error: a place that it has learned no vector of.
    """
    if place is not None:
        if (far := int(positions.max())) >= len(place.weight):
            raise Error(f"this network has learned {len(place.weight)} places, and a text has {far + 1}.")
        x = x + place(positions)
    return x if norm is None else norm(x)


def angles(config: TransformerConfig, positions: Int[Tensor, "B T"], slots: Int[Tensor, " T"] | int = 0) -> Rotary:
    """Return the rotary angles of positions, or of their slots where those are counted, as many as in training."""
    if config.candidate_places == "flattened":
        stride = config.candidates + 1
        positions = positions * stride + (slots if isinstance(slots, int) else slots.clamp(max=stride - 1))
    if config.candidate_places == "lost":
        positions = positions.clamp(max=1)
    return rotary(positions, config.head_width, config.rope_theta, config.rope_rule)


def views(
    config: TransformerConfig,
    positions: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B 1 T S"] | None,
    causal: bool,
    upto: int | None,
) -> list[View]:
    """Return angles and mask of blocks that see all, and of those with a window.

    Args:
        config: Of the network.
        positions: Of the tokens.
        mask: Who may attend to whom.
        causal: No token sees a later one, and the mask does not say so.
        upto: Cached positions that are read; ``None``: there is no cache.
    """
    found: list[View] = [(None if config.places == "learned" else angles(config, positions), mask)]
    if config.window:
        seen = positions if upto is None else torch.arange(upto, device=positions.device)[None]
        by = rotary(positions, config.head_width, config.window_theta, config.rope_rule)
        found.append((by, near(positions, seen, config.window, mask, causal)))
    return found
