"""Recipe section ``thought``: what goes with the passages of a text, see :mod:`unmask.diffusion.thought`.

C cells, c cells of a reduced thought, E channels.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from unmask.diffusion.options import Visibility
from unmask.diffusion.registry import check_schedule
from unmask.errors import Error


class ThoughtWeights(BaseModel):
    """Weights of the losses beside the text's, which is 1 (originally .5, .1, .1; .5 costs the text, see docs)."""

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
    """Weights of the losses beside the text's."""

    @field_validator("schedule")
    @classmethod
    def _known(cls, name: str) -> str:
        check_schedule(name)
        return name

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

    def check(self, config: Any, visibility: Visibility) -> None:
        """Raise Error if a network with these options takes no such thoughts, or the process has no use for them."""
        if self.latent and visibility == "causal":
            raise Error("thought.latent carries hidden states between answers to one text; left to right there is one.")
        if self.latent and getattr(config, "candidates", 0):
            raise Error(
                "thought.latent carries hidden states between answers and process sparse carries candidates: two "
                "mechanisms for one thing. Set thought.latent=0, or process=masked."
            )
        if getattr(config, "thought", None) != self.model_dump(mode="json"):
            raise Error("the network was not made for this section thought; train it again with the recipe.")
