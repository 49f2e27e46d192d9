"""The settings of each sampler, and what it drives: known without torch.

Each model is the ``Settings`` of the sampler of its name: its fields are the settings that mean something to it, with
their ranges and their help. Whatever names settings reads them here: Python's keywords, ``-s`` of the command line, the
``sampler:`` section of a recipe, a plan's samplers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import product
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from unmask.diffusion.options import Shows, Visibility
from unmask.errors import Error
from unmask.sampling.settings_words import not_under, unknown_setting, wrong_value

BITS = 2**63
"""What a whole number stays below: it is kept in 64 bits."""


class Settings(BaseModel):
    """What every sampler reads. Unknown keys are refused, and values that cannot work.

    Attributes:
        name: The sampler's name in recipes and on the command line.
        visibility: What the model that it drives may see.
        shows: What the open positions of its states show: it drives the processes that show the same.
        about: What it does, in one line.
        choices: Those of its settings that say how it works, and with it which others mean something.
        from_the_left: Whether it can decide words from the left and never takes one back, as a grammar asks.
    """

    name: ClassVar[str] = ""
    visibility: ClassVar[Visibility] = "bidirectional"
    shows: ClassVar[Shows] = "mask"
    about: ClassVar[str] = ""
    choices: ClassVar[tuple[str, ...]] = ()
    from_the_left: ClassVar[bool] = False

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    temperature: float = Field(1.0, ge=0, description="softmax temperature; 0 takes the most probable token")
    top_k: int = Field(0, ge=0, lt=BITS, description="draw among the k most probable tokens; 0: all")
    top_p: float = Field(
        1.0, gt=0, le=1, description="draw among the fewest tokens that hold this much probability; 1: all"
    )
    seed: int = Field(0, ge=-BITS, lt=BITS, description="same seed, same text")
    ignore_eos: bool = Field(False, description="never end the text before its canvas is full")
    overlap: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="where a text is longer than the context: share of the context that is shown again of its end, "
        "each time the context is full",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(cls, given: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return check(given)
        except ValidationError as error:
            wrong = {str(one["loc"][0]): one for one in reversed(error.errors())}
            unknown = [key for key in wrong if key not in cls.model_fields]
            text = unknown_setting(cls, unknown[-1]) if unknown else wrong_value(cls, *[*wrong.items()][-1])
            raise Error(text) from error

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return settings as those of this sampler: what they say is kept, all else is its own default.

        Raises:
            Error: they say something that means nothing to it.
        """
        return settings if type(settings) is cls else cls(**settings.model_dump(exclude_unset=True))

    def but(self, **changes: Any) -> Self:
        """Return the same settings with some changed; what means nothing to another way of working is left out.

        Raises:
            Error: one that this sampler does not have, or that cannot work.
        """
        said = self.model_dump(exclude_unset=True)
        known = self._choosing({**said, **changes}).known
        return type(self)(**{**{key: value for key, value in said.items() if key in known}, **changes})

    @classmethod
    def check(cls, given: Mapping[str, Any]) -> None:
        """Refuse settings that cannot work, whatever the others are over which they will be laid.

        Raises:
            Error: which, and what it takes.
        """
        fields = {key: cls.model_fields[key].annotation for key in cls.choices if key not in given}
        ways = (dict(zip(fields, way, strict=True)) for way in product(*map(get_args, fields.values())))
        fit = (way for way in ways if all(key in cls._choosing({**way, **given}).known for key in given))
        way = next(fit, {})
        cls(**{**{key: value for key, value in way.items() if key in cls._choosing({**way, **given}).known}, **given})

    @classmethod
    def _choosing(cls, given: Mapping[str, Any]) -> Self:
        """Return the settings that say how it works, and no other."""
        like = cls()
        for key in cls.choices:
            if key in given and key in like.known:
                like = cls(**like.model_dump(exclude_unset=True), **{key: given[key]})
        return like

    @property
    def known(self) -> tuple[str, ...]:
        """The settings that mean something to the sampler, given those that say how it works."""
        return tuple(type(self).model_fields)

    @property
    def given(self) -> dict[str, Any]:
        """The settings that were said, whatever they are."""
        return self.model_dump(exclude_unset=True)

    @property
    def label(self) -> str:
        """The sampler, and what differs from its defaults: ``confidence steps=12 confidence_noise=1``."""
        fields = type(self).model_fields
        told = (f"{key}={value}" for key, value in self.given.items() if value != fields[key].default)
        return " ".join([self.name, *told])

    @property
    def draws_as_told(self) -> bool:
        """Whether tokens are drawn from the network's own distribution, neither sharpened nor truncated."""
        return self.temperature == 1 and self.top_k == 0 and self.top_p == 1


class SteppedSettings(Settings):
    """What every sampler reads that takes a number of steps."""

    steps: int = Field(32, ge=1, lt=BITS, description="steps from all open to none")
    temperature_end: float | None = Field(
        None, ge=0, description="temperature of the last step, reached linearly; null: constant"
    )

    @property
    def draws_as_told(self) -> bool:
        """Whether tokens are drawn from the network's own distribution in every step."""
        return super().draws_as_told and self.temperature_end in (None, self.temperature)


Candidates = Annotated[
    int | None,
    Field(
        ge=0,
        lt=BITS,
        description="weighted candidates that an open position carries to the next step, where the model takes them; "
        "null: as many as it was trained with",
    ),
]


EntropyBudget = Annotated[
    float,
    Field(
        ge=0,
        description="most nats by which positions decided in one step may hang together: their entropies less the "
        "largest",
    ),
]


class AutoregressiveSettings(Settings):
    """Settings of ``autoregressive``."""

    name: ClassVar[str] = "autoregressive"
    visibility: ClassVar[Visibility] = "causal"
    shows: ClassVar[Shows] = "nothing"
    from_the_left: ClassVar[bool] = True
    about: ClassVar[str] = "one token after another, left to right"

    repetition_penalty: float = Field(
        1.0,
        gt=0,
        description="divides positive logits of tokens that stand in the text, multiplies negative ones; 1: none",
    )
    beyond: Literal["reread", "sinks", "stretch"] = Field(
        "reread",
        description="how a text goes on when the context is full: its end is read anew; keys and values of its first "
        "tokens and of its end stay, turned to their new places; or positions go on beyond those of training",
    )

    @property
    def draws_as_told(self) -> bool:
        """Whether tokens are drawn from the network's own distribution, nothing held against those that stand."""
        return super().draws_as_told and self.repetition_penalty == 1


class AncestralSettings(SteppedSettings):
    """Settings of ``ancestral``."""

    name: ClassVar[str] = "ancestral"
    from_the_left: ClassVar[bool] = True
    about: ClassVar[str] = "masks go at random times, as they came in training: the reverse process"

    candidates: Candidates = None


class ConfidenceSettings(SteppedSettings):
    """Settings of ``confidence``.

    With ``confidence_of: peak`` and no noise the order is a function of what is visible, so the DUEL likelihood (arXiv
    2603.01367) is exactly this sampler's; ``drawn``, as in MaskGIT, keeps likely draws and throws unlikely ones away:
    it collapses even with a perfect network (``unmask certify``).
    """

    name: ClassVar[str] = "confidence"
    from_the_left: ClassVar[bool] = True
    about: ClassVar[str] = "the surest positions first"
    choices: ClassVar[tuple[str, ...]] = ("accept",)

    candidates: Candidates = None
    accept: Literal["count", "entropy", "threshold", "profile", "stable"] = Field(
        "count",
        description="which positions a step decides, beside those that steps ask for: no more, those that may be drawn "
        "apart, those that are sure, as many as are sure together, or those that stay sure of the same",
    )
    sure_above: float = Field(0.9, ge=0, le=1, description="confidence from which on a position is decided")
    doubt_budget: float = Field(
        1.0,
        ge=0,
        description="most doubt (1 - confidence) of positions decided in one step: their sum, and the largest again",
    )
    entropy_budget: EntropyBudget = 0.1
    stable_nats: float = Field(
        0.01, ge=0, description="most nats by which what is said of a position may differ from what was said before"
    )
    stable_looks: int = Field(
        2, ge=1, lt=BITS, description="answers in a row that must have said what the one before them said"
    )
    reveal: Literal["cosine", "linear"] = Field(
        "cosine",
        description="positions decided by step i of N, at least: all but cos(pi/2 i/N) of them, or all but 1 - i/N",
    )
    confidence_noise: float = Field(
        0.0, ge=0, description="Gumbel noise on the log-confidence that orders positions, times the share still open"
    )
    confidence_stop: float | None = Field(
        None, ge=0, le=1, description="fill all at once when every open position is surer than this; null: never"
    )
    confidence_of: Literal["drawn", "peak", "margin", "entropy"] = Field(
        "peak",
        description="what confidence is: the peak probability before drawing, its margin over the next one, "
        "exp(-entropy), or the drawn token's probability, which collapses",
    )
    calibrated: bool = Field(
        False, description="order, stop and report by how often words this sure are right: what unmask calibrate fitted"
    )

    @model_validator(mode="after")
    def _of_one_rule(self) -> Self:
        for key in self.model_fields_set:
            if key not in self.known:
                raise Error(not_under(self, "accept", key, [f"accept {rule}" for rule in _ACCEPTED[key]]))
        return self

    @property
    def known(self) -> tuple[str, ...]:
        """All settings but those of other rules of acceptance."""
        return tuple(key for key in type(self).model_fields if self.accept in _ACCEPTED.get(key, (self.accept,)))


_ACCEPTED = {
    "sure_above": ("threshold", "stable"),
    "doubt_budget": ("profile",),
    "entropy_budget": ("entropy",),
    "stable_nats": ("stable",),
    "stable_looks": ("stable",),
}
"""The rules of acceptance that a setting means something to, where these are not all."""


class EntropyBoundSettings(Settings):
    """Settings of ``entropy-bound``: ``confidence`` that accepts by entropy, in as many steps as that takes."""

    name: ClassVar[str] = "entropy-bound"
    from_the_left: ClassVar[bool] = True
    about: ClassVar[str] = "as many positions a step as may be drawn apart from each other"

    candidates: Candidates = None
    entropy_budget: EntropyBudget = 0.1
    error_proxy: Literal["peak", "margin", "entropy"] = Field(
        "peak",
        description="the order in which they are taken: highest peak probability, largest margin of the two most "
        "probable tokens, or least entropy",
    )

    @cached_property
    def alike(self) -> ConfidenceSettings:
        """The settings of ``confidence`` under which it does the same."""
        own = self.model_dump(exclude={"error_proxy"})
        return ConfidenceSettings(accept="entropy", confidence_of=self.error_proxy, steps=BITS - 1, **own)


class RemaskingSettings(SteppedSettings):
    """Settings of ``remasking``. Time runs from 1 (all noise) to 0 (text)."""

    name: ClassVar[str] = "remasking"
    about: ClassVar[str] = "the reverse process that takes words back and writes them again"

    candidates: Candidates = None
    remask: Literal["cap", "rescale", "conf"] = Field(
        "cap",
        description="probability of reopening a decided position: the same at all times, a share of the most that is "
        "possible, or that share handed out by how unsure the model was of each word",
    )
    remask_strength: float = Field(
        0.05, ge=0, le=1, description="that probability, or share; 0 reopens nothing, which is ancestral"
    )
    remask_start: float = Field(1.0, gt=0, le=1, description="time, from 1 (noise) to 0, at which reopening begins")
    remask_stop: float = Field(0.0, ge=0, description="time at which it ends; below remask_start")
    remask_hold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of positions that stays decided between the two times, where all steps only write again; "
        "null: the text goes on being written",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.remask_stop < self.remask_start:
            raise Error(
                f"remask_stop is {self.remask_stop}; it must be below remask_start ({self.remask_start}), as time runs "
                "from 1 to 0."
            )
        if self.remask_hold is not None and (self.remask_start == 1 or self.remask_stop == 0):
            raise Error(
                f"remask_hold is {self.remask_hold}; it needs a remask_start below 1 and a remask_stop above 0, so that"
                " there is time to write before and after."
            )
        return self


class FlattenSettings(SteppedSettings):
    """Settings of ``flatten``."""

    name: ClassVar[str] = "flatten"
    shows: ClassVar[Shows] = "candidates"
    about: ClassVar[str] = "candidates of all positions at once, as the original sparse-distribution diffusion"

    renoise: Literal["kept", "replaced"] | None = Field(
        None,
        description="between steps: null feeds the network's own answer back; else a drawn text is noised again, its "
        "tokens kept among the candidates, or replaced by random ones with probability n(t)",
    )


class UniformSettings(SteppedSettings):
    """Settings of ``uniform``."""

    name: ClassVar[str] = "uniform"
    shows: ClassVar[Shows] = "token"
    about: ClassVar[str] = "the reverse process of uniform noise: every open word may change until the last step"

    corrections: int = Field(
        0,
        ge=0,
        lt=BITS,
        description="words drawn anew after each step, each given all others (a Gibbs step, and a network call)",
    )
    stop_after: int | None = Field(
        None,
        ge=1,
        lt=BITS,
        description="decide all words in the step that finds the likeliest ones unchanged so many times in a "
        "row; null: never",
    )
