"""Recipe section ``qcontroller``: which controller steers the optimiser, and its settings. Absent: none does.

``qcontroller: original``, ``mended`` or ``random`` alone is short for ``qcontroller: {name: original}``. The names that
begin with ``q_`` are Bytropix's, as are their defaults.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class ControllerOptions(BaseModel):
    """What all controllers have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Which controller."""


class LearningOptions(ControllerOptions):
    """Options of a controller that learns."""

    q_learning_rate: float = Field(default=0.1, gt=0, le=1)
    """Share alpha of a temporal difference that a Q value moves by."""
    q_discount: float = Field(default=0.9, ge=0, lt=1)
    """Weight gamma of what comes after the next reward."""
    q_epsilon: float = Field(default=0.2, ge=0, le=1)
    """Share of actions drawn at random, at first."""
    q_epsilon_decay: float = Field(default=0.995, gt=0, le=1)
    """Factor of that share, an action."""
    q_min_epsilon: float = Field(default=0.05, ge=0, le=1, validate_default=True)
    """Smallest share of actions drawn at random."""

    @field_validator("q_min_epsilon")
    @classmethod
    def _below_the_first(cls, value: float, info: ValidationInfo) -> float:
        first = info.data.get("q_epsilon", 1.0)
        if value > first:
            raise ValueError(f"it is above q_epsilon {first:g}; lower it, or raise q_epsilon")
        return value


class OriginalOptions(LearningOptions):
    """Bytropix's controller, to the letter."""

    name: Literal["original"] = "original"


class MendedOptions(LearningOptions):
    """The controller whose actions accumulate and whose reward is measured on a fixed batch."""

    name: Literal["mended"] = "mended"
    every: int = Field(default=25, ge=1)
    """Optimiser steps from one action to the next (M)."""
    probe: int = Field(default=16, ge=1)
    """Examples in the fixed batch."""


class RandomOptions(ControllerOptions):
    """The control: ``mended``, but every action is drawn at random."""

    name: Literal["random"] = "random"
    every: int = Field(default=25, ge=1)
    """Optimiser steps from one action to the next (M)."""
    probe: int = Field(default=16, ge=1)
    """Examples in the fixed batch."""


VARIANTS: dict[str, type[ControllerOptions]] = {
    "original": OriginalOptions,
    "mended": MendedOptions,
    "random": RandomOptions,
}
"""Name in a recipe -> its options."""
RENAMED = {"seed": "original"}
"""Name in an older recipe -> its name now."""
