"""What a verifier takes: the settings of sampler ``speculative``, and those of repair. Known without torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from unmask.diffusion.options import Shows, Visibility
from unmask.errors import Error
from unmask.sampling.settings import BITS, Settings
from unmask.sampling.settings_words import wrong_value

Mode = Literal["lossless", "repair"]
"""The texts are the verifier's own, drafted by another; or the writer's, where the verifier finds them likely."""


class SpeculativeSettings(Settings):
    """Settings of ``speculative``."""

    name: ClassVar[str] = "speculative"
    visibility: ClassVar[Visibility] = "causal"
    shows: ClassVar[Shows] = "nothing"
    about: ClassVar[str] = "left to right, several words a call: drafts are read at once, and kept as far as they hold"

    span: int = Field(8, ge=1, lt=BITS, description="most words of a draft, which one call reads")


class RepairSettings(BaseModel):
    """Settings of repair, beside those of the sampler that writes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    span: int = Field(8, ge=1, lt=BITS, description="words that are judged, and written again, together")
    suspect: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the spans that the verifier reads: those whose words the writer gave the least "
        "probability; 1: all",
    )
    unlikely: float = Field(
        1.0,
        ge=0,
        description="of these it has written again whose words surprise it by more than this beyond what it expects: "
        "nats a word, -ln p less the entropy of p",
    )
    rounds: int = Field(1, ge=1, lt=BITS, description="most times that spans are written again")

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(cls, given: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return check(given)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise Error(wrong_value(cls, str(wrong["loc"][0]), wrong)) from error
