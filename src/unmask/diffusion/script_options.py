"""Option ``scripts`` of the processes that hide: a schedule for each kind of word, clusters hidden whole, spans.

What it does to training, and what it leaves alone, is said in :mod:`unmask.diffusion.scripts`. Known without torch.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from unmask.diffusion.registry import check_schedule
from unmask.errors import Error, nearest

KINDS = ("devanagari", "latin", "digits", "markers", "other")
"""What a token can be, the first of these that it holds any of; markers are danda, nukta, ZWJ and ZWNJ."""


class ScriptOptions(BaseModel):
    """How training hides text of several scripts. A kind without a schedule has that of the process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    devanagari: str | None = None
    """Schedule of tokens with a Devanagari letter or sign, such as ``polynomial:1.25``: hidden later."""
    latin: str | None = None
    """Schedule of tokens with a Latin letter."""
    digits: str | None = None
    """Schedule of tokens with digits of any script, and no letter."""
    markers: str | None = None
    """Schedule of tokens of markers alone; ``None``: as Devanagari, and with the cluster that they are in."""
    other: str | None = None
    """Schedule of all other tokens: other scripts, blanks, signs, the end of a text."""
    clusters: float = Field(0.5, ge=0, lt=1)
    """Share of the training rows in which clusters are hidden whole. Below 1: samplers decide token by token, and must
    not meet half a cluster that training never showed."""
    span: float = Field(1.0, ge=1, le=64)
    """Mean length of the spans that share one draw, in tokens or whole clusters; geometric, and 1 is each its own."""

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, given: Any) -> Any:
        unknown = next((key for key in given if key not in cls.model_fields), None) if isinstance(given, dict) else None
        if unknown is not None:
            hint = nearest(str(unknown), cls.model_fields) or f" Known: {', '.join(cls.model_fields)}."
            raise Error(f"unknown recipe key process.scripts.{unknown}.{hint}")
        return given

    @field_validator(*KINDS)
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            check_schedule(name)
        return name
