"""The contract between processes, networks and samplers: what a network sees, and what it answers.

Letters: B batch, T tokens, K candidates, D width, V vocabulary, n asked positions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Visibility = Literal["causal", "bidirectional"]


@dataclass(frozen=True)
class SparseState:
    """K weighted candidates at each position: not one token but ``[(0.6, cat), (0.3, dog), (0.1, pet)]``.

    The masses are a distribution's own values, not renormalised over the K that are kept. What remains up to 1 is the
    mass of all other tokens, which an open position gives to the mask. The order of the candidates means nothing.

    Attributes:
        tokens: Candidate ids; any id where the mass is 0.
        mass: Probability of each candidate; all 0 at a position without candidates.
    """

    tokens: Int[Tensor, "B T K"]
    mass: Float[Tensor, "B T K"]

    @property
    def rest(self) -> Float[Tensor, "B T"]:
        """Mass of what is not among the candidates."""
        return (1 - self.mass.sum(-1)).clamp(min=0)

    def to(self, device: torch.device | str) -> SparseState:
        """Return the candidates on another device."""
        return SparseState(self.tokens.to(device), self.mass.to(device))

    def rows(self, index: Tensor) -> SparseState:
        """Return the candidates of some rows."""
        return SparseState(self.tokens[index], self.mass[index])


@dataclass(frozen=True)
class State:
    """A (partly noised) text, as a network sees it.

    Attributes:
        tokens: Token ids; hidden positions hold the mask id.
        visibility: Which positions may attend to which, before borders and padding are taken away.
        positions: Position ids; ``None`` means 0, 1, 2, ...
        segments: Document piece of each position; attention never crosses pieces. ``None``: one piece a row.
        valid: False at padding, which nobody attends to. ``None``: no padding.
        candidates: Weighted candidates of open positions; ``None``: there are none.
        t: The *actual* noise level of each row in (0, 1], 1 = all noise. Only a network with a time input reads it.
    """

    tokens: Int[Tensor, "B T"]
    visibility: Visibility = "bidirectional"
    positions: Int[Tensor, "B T"] | None = None
    segments: Int[Tensor, "B T"] | None = None
    valid: Bool[Tensor, "B T"] | None = None
    t: Float[Tensor, " B"] | None = None
    candidates: SparseState | None = None

    def to(self, device: torch.device | str) -> State:
        """Return the state on another device."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in parts.items() if isinstance(v, Tensor | SparseState)})

    def rows(self, index: Tensor) -> State:
        """Return the state of some rows (an index or a bool mask over B)."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        picked = {k: v[index] for k, v in parts.items() if isinstance(v, Tensor)}
        if self.candidates is not None:
            picked["candidates"] = self.candidates.rows(index)
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
