"""The contract between processes, networks and samplers: what a network sees, and what it answers.

Letters: B batch, T tokens, D width, V vocabulary, n asked positions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Visibility = Literal["causal", "bidirectional"]


@dataclass(frozen=True)
class State:
    """A (partly noised) text, as a network sees it.

    Attributes:
        tokens: Token ids; hidden positions hold the mask id.
        visibility: Which positions may attend to which, before borders and padding are taken away.
        positions: Position ids; ``None`` means 0, 1, 2, ...
        segments: Document piece of each position; attention never crosses pieces. ``None``: one piece a row.
        valid: False at padding, which nobody attends to. ``None``: no padding.
        t: The *actual* noise level of each row in (0, 1], 1 = all noise. Only a network with a time input reads it.
    """

    tokens: Int[Tensor, "B T"]
    visibility: Visibility = "bidirectional"
    positions: Int[Tensor, "B T"] | None = None
    segments: Int[Tensor, "B T"] | None = None
    valid: Bool[Tensor, "B T"] | None = None
    t: Float[Tensor, " B"] | None = None

    def to(self, device: torch.device | str) -> State:
        """Return the state on another device."""
        moved = {f.name: v.to(device) for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        return replace(self, **moved)

    def rows(self, index: Tensor) -> State:
        """Return the state of some rows (an index or a bool mask over B)."""
        picked = {f.name: v[index] for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        return replace(self, **picked)


@dataclass(frozen=True)
class Prediction:
    """A network's answer.

    Attributes:
        logits: Unnormalised log-probabilities [n, V] of the clean token at each asked position, in row-major
            order of ``at``; the logits for position p predict token p, whatever the network shifts inside.
        hidden: Final hidden states [B, T, D], if asked for.
        cache: The key-value cache, if one was given.
    """

    logits: Float[Tensor, "n V"]
    hidden: Float[Tensor, "B T D"] | None = None
    cache: Any = None
