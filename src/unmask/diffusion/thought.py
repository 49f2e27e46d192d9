"""A thought: a tensor that goes with a text, is denoised along with it, and is carried to what follows.

A text is cut into *passages* of one length. Each passage has a thought of n dimensions, ``shape`` = (d_1, ...,
d_(n-1), E): C = d_1 ... d_(n-1) *cells* of E channels. A finished passage's thought is read off its words; reduced
along one axis to n - 1 dimensions it is put on a stack, the newest first, where the passages that follow find it. The
passage that is being written has a thought that starts as pure noise and becomes clear along with the words.

Letters: B batch, S passages of a row, T tokens of a passage, C cells, c cells of a reduced thought, E channels, N
thoughts on a stack, D width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor


class ThoughtWeights(BaseModel):
    """Weights of the losses beside the text's, which is 1 (seed 001: .5, .1, .1; its .5 costs the text, see docs)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    thought: float = Field(0.05, ge=0)
    """Mean squared error of the clean thought that is predicted from a noised one."""
    coherence: float = Field(0.1, ge=0)
    """Share of a thought's variance that its reduction does not give back."""
    alignment: float = Field(0.1, ge=0)
    """InfoNCE between the thoughts and the words of the passages in a batch."""
    anchor: float = Field(0.1, ge=0)
    """Hinge on the spread of each channel over the batch, against collapse."""


class ThoughtOptions(BaseModel):
    """Recipe section ``thought``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: tuple[int, ...] | None = None
    """(d_1, ..., E), two dimensions or more; ``None``: passages without a thought, which is the control."""
    passage: int = Field(128, ge=4)
    """Tokens of a passage, without its BOS. Attention does not go beyond it."""
    stack: int = Field(4, ge=0)
    """Reduced thoughts of earlier passages that a passage sees (N); gradients go as far back."""
    axis: int = Field(0, ge=0)
    """The axis that the reduction takes away."""
    reader_layers: int = Field(1, ge=1)
    """Convolution blocks of the encoder that reads a thought off a passage."""
    persist: bool = True
    """A passage's thought goes on from that of the passage before, through a gate."""
    schedule: str = "cosine"
    """Share of noise in the variance of a thought over its time (a name of ``process.schedule``)."""
    pace: float = Field(2.0, gt=0)
    """How much slower the thought is: its time is t ** (1 / pace) where the share of hidden words is t."""
    saliency: float = Field(0.0, ge=0)
    """How much later the weightiest cell is noised than the lightest; 0: all alike."""
    predict: Literal["x0", "v"] = "x0"
    """What the squared error is taken of."""
    blind: float = Field(0.5, ge=0, le=1)
    """Share of training passages whose thought is pure noise, as in the likelihood."""
    latent: float = Field(0.0, ge=0, le=1)
    """Probability that the last hidden states of an earlier answer are carried into the next (latent pathway)."""
    weights: ThoughtWeights = ThoughtWeights()

    @model_validator(mode="after")
    def _shaped(self) -> ThoughtOptions:
        if self.shape is not None:
            if len(self.shape) < 2 or min(self.shape) < 1:
                raise ValueError(f"shape {list(self.shape)} needs two numbers or more, each at least 1")
            if self.axis >= len(self.shape) - 1:
                raise ValueError(f"axis {self.axis} is none of the {len(self.shape) - 1} axes of cells")
        return self

    @property
    def cells(self) -> int:
        """C."""
        return math.prod(self.shape[:-1]) if self.shape else 0

    @property
    def channels(self) -> int:
        """E."""
        return self.shape[-1] if self.shape else 0

    @property
    def reduced(self) -> int:
        """C."""
        return self.cells // self.shape[self.axis] if self.shape else 0


@dataclass(frozen=True)
class Thought:
    """What a network sees of thoughts.

    Attributes:
        cells: The noised thought of the text itself.
        level: Share of noise in the variance of each cell, 1: pure noise. The network is told it.
        stack: Reduced thoughts of earlier passages, the newest first.
        stack_valid: False where there is none, ``None``: all are there.
        owner: Document piece that the text's own thought goes with, where rows hold several; others do not see it.
        stack_owner: The same for the stack.
    """

    cells: Float[Tensor, "B C E"]
    level: Float[Tensor, "B C"]
    stack: Float[Tensor, "B N c E"]
    stack_valid: Bool[Tensor, "B N"] | None = None
    owner: Int[Tensor, " B"] | None = None
    stack_owner: Int[Tensor, " B"] | None = None

    def to(self, device: torch.device | str) -> Thought:
        """Return the thoughts on another device."""
        return self._each(lambda part: part.to(device))

    def rows(self, index: Tensor) -> Thought:
        """Return the thoughts of some rows."""
        return self._each(lambda part: part[index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Thought:
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: change(part) for name, part in parts.items() if part is not None})


@dataclass(frozen=True)
class Reading:
    """Finished passages of some rows, to be read into thoughts. ``model(reading)`` answers with ``Prediction.read``.

    Attributes:
        tokens: The passages of each row, in order.
        valid: The tokens that are read: those of the document that may go on in the next passage.
        follows: Whether what is read of a passage is the document of the one before it, from its first token on.
        before: Thought of the passage before the first, where ``follows`` says that there is one.
    """

    tokens: Int[Tensor, "B S T"]
    valid: Bool[Tensor, "B S T"]
    follows: Bool[Tensor, "B S"]
    before: Float[Tensor, "B C E"] | None = None


@dataclass(frozen=True)
class Read:
    """The thoughts of passages.

    Attributes:
        cells: Clean thoughts, of unit mean square.
        reduced: Each without one of its axes.
    """

    cells: Float[Tensor, "B S C E"]
    reduced: Float[Tensor, "B S c E"]


def stacks(
    reduced: Float[Tensor, "B S c E"], follows: Bool[Tensor, "B S"], through: Bool[Tensor, "B S"], depth: int
) -> tuple[Float[Tensor, "B S N c E"], Bool[Tensor, "B S N"]]:
    """Return what each passage finds on its stack: the passages before it of the same document, the newest first.

    Args:
        reduced: Reduced thoughts of a row's passages.
        follows: Whether a passage begins with the document of the one before it.
        through: Whether it belongs to that document as a whole.
        depth: N.
    """
    batch, passages = follows.shape
    found, there = [], []
    for age in range(1, depth + 1):
        shift = torch.arange(passages, device=follows.device) - age
        source = shift.clamp(min=0)
        # passage s - age ends in the document with which s begins if all between them belongs to it
        link = follows if age == 1 else linked & through[:, (shift + 1).clamp(min=0)]
        linked = link & (shift >= 0)
        found.append(reduced[:, source])
        there.append(linked)
    if not found:
        shape = (batch, passages, 0, *reduced.shape[2:])
        return reduced.new_zeros(shape), follows.new_zeros(batch, passages, 0)
    valid = torch.stack(there, 2)
    return torch.stack(found, 2) * valid[..., None, None], valid
