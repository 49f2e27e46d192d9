"""What a recipe may say of each process, and which networks can learn it: known without torch.

Each model is the ``Options`` of the process of its name.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from unmask.diffusion.registry import check_schedule
from unmask.diffusion.script_options import ScriptOptions
from unmask.errors import Error

Visibility = Literal["causal", "bidirectional", "block"]
"""What a position may see: what is to its left, all, or what stands before its block and the whole of its block."""

Shows = Literal["nothing", "mask", "token", "candidates"]
"""What an open position shows a network: nothing (it lies to the right and is not seen), the mask, a token that may be
wrong, or weighted candidates. A sampler drives the models of a process that shows what it shows."""


class ProcessOptions(BaseModel):
    """Options that a recipe gives to a process. Unknown keys are refused.

    Attributes:
        name: The process's name in recipes.
        visibility: What the process's finished model may see.
        shows: What an open position shows it.
        sampler: Name of the sampler that its runs use by default.
        about: What its models are, in a sentence's middle: for model cards.
        also: Other ways in which the finished model may be driven, each (visibility, what an open position shows).
    """

    name: ClassVar[str]
    visibility: ClassVar[Visibility]
    shows: ClassVar[Shows]
    sampler: ClassVar[str]
    about: ClassVar[str] = "a language model"
    also: ClassVar[tuple[tuple[Visibility, Shows], ...]] = ()

    model_config = ConfigDict(extra="forbid", frozen=True)

    isolate_documents: bool = True
    """No attention across the documents packed into one block."""

    def network(self) -> dict[str, Any]:
        """Return defaults of the network's configuration that the process needs."""
        return {}

    def check(self, config: Any) -> None:
        """Raise Error if a network with these options (``unmask.models.options``) cannot learn the process."""


class CausalOptions(ProcessOptions):
    """The causal process has no options of its own."""

    name: ClassVar[str] = "causal"
    visibility: ClassVar[Visibility] = "causal"
    shows: ClassVar[Shows] = "nothing"
    sampler: ClassVar[str] = "autoregressive"
    about: ClassVar[str] = "a left-to-right (autoregressive) language model: it writes one token after another"

    def check(self, config: Any) -> None:
        """Raise Error unless the network can be causal, and state p-1 predicts token p; at p it would have seen it."""
        if "causal" not in config.visibilities:
            raise Error("process causal needs a backbone that can hide what is to the right: set backbone=transformer.")
        if config.output_shift != 1:
            raise Error("process causal needs backbone.output_shift=1: with 0 the network sees the token it predicts.")


class MaskedOptions(ProcessOptions):
    """Options of the masked process."""

    name: ClassVar[str] = "masked"
    visibility: ClassVar[Visibility] = "bidirectional"
    shows: ClassVar[Shows] = "mask"
    sampler: ClassVar[str] = "ancestral"
    about: ClassVar[str] = (
        "a masked-diffusion language model: it starts from hidden tokens and reveals them in any "
        "order, so that it also fills holes inside a text"
    )

    schedule: str = "linear"
    """``linear``, ``cosine``, ``raised_cosine``, ``sqrt``, ``sigmoid``, ``exponential``,
    ``polynomial:POWER`` or ``package.module:function``."""
    weighting: Literal["ce", "elbo"] = "ce"
    """Training weight of a hidden token: 1, or the ELBO's r'(t)/r(t)."""
    times: Literal["uniform", "bell"] = "uniform"
    """Distribution of t."""
    bell_center: float = -0.5
    """Logit of the bell's median."""
    bell_width: float = Field(1.2, gt=0)
    """Spread of the bell in logits."""
    curriculum_start: float | None = Field(None, gt=0, le=1)
    """Largest t at the start of masked training; it grows linearly to 1. ``None``: no curriculum."""
    curriculum_span: float = Field(1.0, gt=0, le=1)
    """Share of masked training over which the largest t grows."""
    causal_warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the steps trained left to right first."""
    scripts: ScriptOptions | None = Field(None, exclude_if=lambda value: value is None)
    """How text of several scripts is hidden: schedules by kind of word, clusters whole, spans. ``None``: all alike."""
    random_mask: int = Field(0, ge=0)
    """Width of a random vector that is added wherever a text shows the mask; 0: none is. A step's words are then drawn
    from a mixture (``unmask distill``)."""
    random_mask_words: int = Field(0, ge=0)
    """Words of a stretch that shares a vector; 0: a whole text, or block, shares one."""

    def network(self) -> dict[str, Any]:
        """Return the width of the mask's random vector and its stretch, if there is one."""
        return {key: value for key in ("random_mask", "random_mask_words") if (value := getattr(self, key))}

    @model_validator(mode="after")
    def _mask_is_shown(self) -> Self:
        if self.random_mask and self.name not in ("masked", "block"):
            raise ValueError(f"random_mask {self.random_mask} is for masked and block, whose open words show the mask")
        if self.random_mask_words and (self.name != "masked" or not self.random_mask):
            raise ValueError(
                f"random_mask_words {self.random_mask_words} cuts the texts of a masked process with a random_mask"
            )
        return self

    @field_validator("schedule")
    @classmethod
    def _known(cls, name: str) -> str:
        check_schedule(name)
        return name

    def check(self, config: Any) -> None:
        """Raise Error if the network cannot see both sides, or cannot hide one for a causal warm start."""
        if "bidirectional" not in config.visibilities:
            raise Error(
                f"process {self.name} needs a network that sees both sides, and this one's patches follow the words: "
                "set backbone.patcher=none, or fixed with patcher_options.whole_characters=false."
            )
        if self.causal_warmup and "causal" not in config.visibilities:
            raise Error(
                "process.causal_warmup trains left to right first, and this backbone cannot hide what is to the right; "
                "set causal_warmup=0."
            )
        if self.causal_warmup and config.output_shift != 1:
            raise Error("process.causal_warmup needs backbone.output_shift=1; set it, or causal_warmup=0.")


_NO_BLOCKS = {
    "unmask-eco": "the convolutions and slow memory of backbone eco mix all places of a text",
    "unmask-bytes": "patches of backbone bytes do not end where blocks do",
}


class BlockOptions(MaskedOptions):
    """Options of the block process: those of ``masked`` within a block, and how a text is cut into blocks."""

    name: ClassVar[str] = "block"
    visibility: ClassVar[Visibility] = "block"
    sampler: ClassVar[str] = "block"
    about: ClassVar[str] = (
        "a block-diffusion language model: it writes blocks of words one after another, the words of a block in any "
        "order, and one word after another, too"
    )
    also: ClassVar[tuple[tuple[Visibility, Shows], ...]] = (("causal", "nothing"),)

    block_size: int | tuple[int, ...] = 8
    """Words of a block (n), or some sizes, of which each training example draws one. The likelihood and the sampler
    take the largest unless they are told."""
    causal_weight: float = Field(2.0, ge=0, lt=float("inf"))
    """Weight of the left-to-right loss of the clean text, which is read in the same pass; 0: it is not asked."""
    block_growth: float = Field(0.0, ge=0, le=1)
    """Share of the steps, behind the warm start, over which blocks grow from one word to ``block_size``, through the
    numbers that divide it, in even stretches. Blocks of one word are the chain rule. 0: they are as large at once."""

    def network(self) -> dict[str, Any]:
        """Return the largest block, which samplers write where they are told none."""
        return {**super().network(), "block_size": self.sizes[-1]}

    @property
    def recites(self) -> bool:
        """Whether a run of it learns to write left to right, too."""
        return bool(self.causal_weight or self.causal_warmup)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The block sizes, ascending."""
        return (self.block_size,) if isinstance(self.block_size, int) else tuple(sorted(self.block_size))

    def sizes_at(self, progress: float) -> tuple[int, ...]:
        """Return the block sizes that examples draw at this share of training."""
        if not self.block_growth:
            return self.sizes
        grown = [(size,) for size in range(1, self.sizes[0]) if self.sizes[0] % size == 0]
        done = (progress - self.causal_warmup) / ((1 - self.causal_warmup) * self.block_growth)
        return [*grown, self.sizes][min(int(max(done, 0.0) * len(grown)), len(grown))]

    @field_validator("block_size")
    @classmethod
    def _whole(cls, size: int | tuple[int, ...]) -> int | tuple[int, ...]:
        sizes = (size,) if isinstance(size, int) else size
        if not sizes or min(sizes) < 1 or any(max(sizes) % one for one in sizes):
            raise ValueError(f"block_size {size} must be numbers from 1 up that divide the largest, such as [2, 4, 8]")
        return size

    def check(self, config: Any) -> None:
        """Raise Error if the network cannot read a text twice in one pass, or predicts a word from its own place."""
        if "block" not in config.visibilities:
            why = _NO_BLOCKS.get(config.model_type, "this network cannot")
            raise Error(
                f"process block reads noisy blocks beside the text before them, and {why}: set backbone=transformer."
            )
        if self.recites and config.output_shift != 1:
            raise Error(
                "process block needs backbone.output_shift=1: the text before a block predicts its first word. A place "
                "may answer for itself where nothing is learned left to right: set process.causal_weight=0."
            )
        if self.recites and config.block_context:
            raise Error(
                "backbone.block_context reads the text before a block in whole blocks, and so shows words that are to "
                "be predicted left to right: set process.causal_weight=0, or leave it out."
            )
        for key, what in (("candidate_input", "candidates"), ("memory_width", "retrieved memory")):
            if getattr(config, key):
                raise Error(f"process block takes no {what}; leave backbone.{key} out.")
        if config.thought:
            raise Error("process block takes no thoughts; leave the section thought out.")
        if config.time_input:
            raise Error(
                "process block hides another share in every block and tells none: set backbone.time_input=false."
            )


class UniformOptions(MaskedOptions):
    """Options of the uniform process: those of ``masked``, and how often a part of the text is given."""

    name: ClassVar[str] = "uniform"
    shows: ClassVar[Shows] = "token"
    sampler: ClassVar[str] = "uniform"
    about: ClassVar[str] = (
        "a uniform-state diffusion language model: it starts from random words and changes any "
        "of them until the last step, so that it also fills holes inside a text"
    )

    given: float = Field(0.5, ge=0, lt=1)
    """Share of the training rows in which a part of the text is given, as a prompt or what surrounds a hole is: shown
    as it is, and told to be. Half of them give a beginning, half any positions."""

    def network(self) -> dict[str, Any]:
        """Return that the network is told how noisy each position is: a wrong token looks like a right one."""
        return {"time_input": True}

    def check(self, config: Any) -> None:
        """Raise Error if the network cannot see both sides, or is not told the noise level."""
        super().check(config)
        if self.scripts is not None:
            raise Error("process uniform draws words anew and hides none; leave process.scripts out.")
        if not config.time_input:
            raise Error("process uniform needs a network that is told the noise level: set backbone.time_input=true.")


class SparseOptions(MaskedOptions):
    """Options of the sparse process: those of ``masked``, and how candidates are given."""

    name: ClassVar[str] = "sparse"
    about: ClassVar[str] = (
        "a sparse-distribution diffusion language model: it starts from hidden tokens that carry "
        "weighted candidates and reveals them in any order, so that it also fills holes inside a text"
    )

    candidates: int = Field(4, ge=0)
    """Candidates of an open position (K); 0 is masked diffusion."""
    candidates_from: int | None = Field(None, ge=1)
    """K at the start of masked training; it doubles in even shares of it up to ``candidates`` (originally 1-2-4-8)."""
    candidate_rate: float = Field(0.5, ge=0, le=1)
    """Probability that a training example gets candidates."""
    candidate_ramp: float = Field(0.1, ge=0, le=1)
    """Share of masked training over which that probability grows from 0."""
    candidate_steps: tuple[int, int] = (4, 64)
    """Training draws the sampler's number of steps N log-uniformly from this range: the candidates are 1/N noisier."""
    candidate_passes: int = Field(1, ge=1)
    """Answers in a row that candidates come from: the first sees none, each later one those of the answer before, as
    a sampler's do."""
    bound_steps: int = Field(32, ge=1)
    """N of the bound."""

    def network(self) -> dict[str, Any]:
        """Return that the network takes candidates, pooled unless the recipe says otherwise."""
        return {"candidates": self.candidates, "candidate_input": "pooled"} if self.candidates else {}

    @model_validator(mode="after")
    def _ordered(self) -> SparseOptions:
        low, high = self.candidate_steps
        if not 1 <= low <= high:
            raise ValueError(f"candidate_steps {self.candidate_steps} must be two numbers, 1 <= first <= second")
        if self.candidates_from is not None and self.candidates_from > max(self.candidates, 1):
            raise ValueError(f"candidates_from {self.candidates_from} must not be above candidates {self.candidates}")
        return self

    def check(self, config: Any) -> None:
        """Raise Error if the network takes no candidates."""
        super().check(config)
        if self.candidates and not getattr(config, "candidate_input", None):
            raise Error("process sparse needs a network that takes candidates: set backbone.candidate_input=pooled.")


class FlattenOptions(ProcessOptions):
    """Options of the original's process. The defaults are the original's; each other value is one repair."""

    name: ClassVar[str] = "sparse_flatten"
    visibility: ClassVar[Visibility] = "bidirectional"
    shows: ClassVar[Shows] = "candidates"
    sampler: ClassVar[str] = "flatten"
    about: ClassVar[str] = (
        "the original sparse-distribution diffusion model, whose states show their own answer: "
        "an object of study, not of use"
    )

    candidates: int = Field(8, ge=1, le=64)
    """Candidates of a position (K)."""
    positions: Literal["flattened", "lost", "real"] = "flattened"
    """What the network is told of places: the number in the flattened sequence of all slots, so that the slot that
    holds the truth shows; ``lost``: nothing, as in the run behind the original's table; ``real``: the repair."""
    jitter: float = Field(0.1, ge=0)
    """Noise on embeddings at n = 1, in units of their root mean square."""
    replaced: bool = False
    """Repair: with probability n(t) all K candidates are random tokens of mass 1/V: the answer is no longer in view."""
    loss_at: Literal["all", "replaced"] = "all"
    """Positions that the loss counts. ``replaced``, the repair, needs ``replaced: true``."""

    def network(self) -> dict[str, Any]:
        """Return the original's network: all slots in every attention, told the time, no shift of the output."""
        return {
            "candidates": self.candidates,
            "candidate_input": "full",
            "candidate_places": self.positions,
            "time_input": True,
            "output_shift": 0,
        }

    @model_validator(mode="after")
    def _replaced(self) -> FlattenOptions:
        if self.loss_at == "replaced" and not self.replaced:
            raise ValueError("loss_at: replaced needs replaced: true")
        return self

    def check(self, config: Any) -> None:
        """Raise Error if the network takes no candidates, or believes another layout than the process was given."""
        if not config.candidate_input:
            raise Error("process sparse_flatten needs a network that takes candidates: set backbone.candidate_input.")
        if not hasattr(config, "candidate_places"):
            raise Error("process sparse_flatten needs a network that lays candidates out: set backbone=transformer.")
        if config.candidate_places != self.positions:
            raise Error(
                f"process.positions is {self.positions} and backbone.candidate_places {config.candidate_places}"
                "; leave the second out."
            )


def check_evidence(process: Any, options: Any, config: Any) -> None:
    """Raise Error if a network with these options takes no memory, or the process shows no clean query."""
    if not getattr(config, "memory_width", 0):
        raise Error("evidence needs a network that takes it: set backbone.memory_width to the index's width.")
    if process.shows == "candidates":
        raise Error(
            f"process {process.name} shows no token as it is, so no query can be given; set process=sparse, or "
            "leave evidence out."
        )
    if not getattr(options, "isolate_documents", True):
        raise Error("evidence belongs to its own document: set process.isolate_documents=true.")
    if getattr(config, "candidate_input", None) == "full" and process.visibility == "bidirectional":
        raise Error("evidence goes with candidates pooled, not in full: set backbone.candidate_input=pooled.")
