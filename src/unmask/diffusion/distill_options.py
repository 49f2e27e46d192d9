"""Recipe section ``distill``: how a student learns to write in fewer steps (:mod:`unmask.diffusion.distillation`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unmask.diffusion.options import MaskedOptions, ProcessOptions
from unmask.errors import Error


class DistillOptions(BaseModel):
    """Recipe section ``distill``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(4, ge=1, le=2**20)
    """Steps that the student is to need for a text, or for a block of one."""
    teacher_steps: int = Field(32, ge=2, le=2**20)
    """Steps of the first teacher, by default ``steps`` times 8; each round halves them, and its student becomes the
    teacher of the next."""
    divergence: Literal["forward", "reverse"] = "reverse"
    """Of the student from its targets: ``forward``, KL(teacher || student), covers what the teacher may write;
    ``reverse``, KL(student || teacher), keeps to what it would write most."""
    vectors: int = Field(4, ge=2, le=1024)
    """Random vectors that each example is shown with (``process.random_mask``)."""

    @model_validator(mode="before")
    @classmethod
    def _eight_times(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(steps := given.get("steps"), int):
            return given
        return {"teacher_steps": 8 * steps, **given}

    @model_validator(mode="after")
    def _halving(self) -> Self:
        if self.rounds < 1 or self.steps << self.rounds != self.teacher_steps:
            raise ValueError(
                f"teacher_steps {self.teacher_steps} must be steps {self.steps} doubled some times, such as "
                f"{self.steps * 8}"
            )
        return self

    @property
    def rounds(self) -> int:
        """Times that the number of steps is halved."""
        return (self.teacher_steps // self.steps).bit_length() - 1

    def check(self, process: ProcessOptions) -> None:
        """Raise Error if a student of a process cannot be taught."""
        if not isinstance(process, MaskedOptions) or process.name not in ("masked", "block"):
            raise Error(
                f"distill teaches to decide many masks in one step, and process {process.name} writes otherwise: give "
                "a run of process masked or block."
            )
        for key, usual in (("weighting", "ce"), ("causal_warmup", 0), ("curriculum_start", None)):
            if getattr(process, key) != usual:
                raise Error(f"distill counts every hidden word alike from the first step on: leave process.{key} out.")
