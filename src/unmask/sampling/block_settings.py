"""The settings of sampler ``block``: those of another sampler, whose rule it follows in each block, and its own."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from unmask.diffusion.options import Visibility
from unmask.errors import Error
from unmask.sampling.settings import (
    BITS,
    AncestralSettings,
    ConfidenceSettings,
    EntropyBoundSettings,
    RemaskingSettings,
    Settings,
)
from unmask.sampling.settings_words import not_under


class BlockSettings(AncestralSettings, ConfidenceSettings, EntropyBoundSettings, RemaskingSettings):
    """Settings of ``block``: those of the sampler whose rule it follows in each block, and no other's, and its own."""

    name: ClassVar[str] = "block"
    visibility: ClassVar[Visibility] = "block"
    about: ClassVar[str] = "blocks of words, left to right; the words of a block as another sampler decides them"

    choices: ClassVar[tuple[str, ...]] = ("rule", "accept")
    candidates: ClassVar[None] = None  # type: ignore[misc]  # models of process block take none
    rule: Literal["ancestral", "confidence", "entropy-bound", "remasking"] = Field(
        "ancestral", description="the sampler that decides the words of a block, whose settings it takes"
    )
    block_size: int | None = Field(
        None, ge=1, lt=BITS, description="words of a block; null: the largest that the model was trained with"
    )
    steps: int = Field(32, ge=1, lt=BITS, description="steps of a block, from all open to none")

    @model_validator(mode="after")
    def _of_one_rule(self) -> Self:
        for key in self.model_fields_set:
            if key not in (*_RULES[self.rule].model_fields, *_OWN):
                raise Error(not_under(self, "rule", key))
        assert self.within  # its own model has the last word
        return self

    @property
    def known(self) -> tuple[str, ...]:
        """The settings of the rule, and those that say which it is and how large blocks are."""
        return tuple(key for key in type(self).model_fields if key in (*self.within.known, *_OWN))

    @property
    def from_the_left(self) -> bool:  # type: ignore[override]
        """As its rule does; blocks follow each other from the left."""
        return self.within.from_the_left

    @cached_property
    def within(self) -> Settings:
        """Those of the rule, by which the words of a block are decided."""
        own = _RULES[self.rule]
        return own(**{key: getattr(self, key) for key in self.model_fields_set if key in own.model_fields})


_OWN = ("rule", "block_size")
_RULES: dict[str, type[Settings]] = {
    one.name: one for one in (AncestralSettings, ConfidenceSettings, EntropyBoundSettings, RemaskingSettings)
}
