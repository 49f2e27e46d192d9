"""What a recipe may say of adapters, and whether they can be had: known without torch and peft."""

from __future__ import annotations

from importlib.util import find_spec

from pydantic import BaseModel, ConfigDict, Field

from unmask.errors import Error


class LoraOptions(BaseModel):
    """Adapters of low rank beside frozen weights (LoRA, Hu et al. 2021), merged into these at the end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(8, ge=1, le=4096)
    """Rank of what is learned beside each matrix of the blocks."""
    alpha: float = Field(16.0, gt=0, allow_inf_nan=False)
    """What an adapter adds is scaled by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on what an adapter reads."""


def check_peft() -> None:
    """Raise Error if the library of adapters is not there."""
    if find_spec("peft") is None:
        raise Error("adapters (section lora) need peft: pip install 'unmask[weights]', or leave the section out.")
