"""The sections of a recipe: which keys there are, their kinds, ranges and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from unmask.diffusion.distill_options import DistillOptions
from unmask.diffusion.thought_options import ThoughtOptions
from unmask.errors import Error
from unmask.evaluation.rules import parse_rule
from unmask.training.lora_options import LoraOptions
from unmask.training.qcontroller.options import ControllerOptions
from unmask.training.trainer_choices import DEFAULT_SCHEDULE, DEFAULT_SCHEDULES

MOST_STEPS = 2**40
"""Steps that no run takes: what is more is a slip, and counts of tokens would leave 64 bits."""

ALIASES: dict[str, dict[str, str]] = {
    "backbone": {
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "num_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "num_heads": "num_attention_heads",
        "d_ff": "intermediate_size",
        "local_hidden_size": "hidden_size",
        "num_decoder_layers": "num_hidden_layers",
        "num_decoder_heads": "num_attention_heads",
    },
    "data": {"seq_len": "length", "max_length": "length", "block_size": "length", "context_window": "length"},
    "training": {
        "batch_size": "per_device_train_batch_size",
        "lr": "learning_rate",
        "steps": "max_steps",
        "warmup": "warmup_steps",
        "accumulation": "gradient_accumulation_steps",
        "grad_accum_steps": "gradient_accumulation_steps",
        "num_workers": "dataloader_num_workers",
        "num_train_epochs": "epochs",
    },
}
"""Names that the systems of docs/origins.md use for keys of ours; ``--dry-run`` shows them resolved."""


class Section(BaseModel):
    """A part of a recipe whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(Section):
    """Where the text comes from and how it becomes blocks."""

    source: str = "pydocs"
    """``pydocs``, ``box-stories``, a file, folder or glob, or ``hf:owner/name[:config]``."""
    format: Literal["text", "chat"] = Field("text", exclude_if=lambda value: value == "text")
    """``chat``: lines of talks (``prompt`` and ``response``, or ``messages``), of which the responses are learned."""
    binary: bool = Field(False, exclude_if=lambda value: not value)
    """Files of any kind, as bytes; with the tokenizer ``bytes``."""
    valid: str | None = None
    """A separate source of held-out text; ``None``: a share of the documents of ``source``."""
    split: Literal["train", "judge"] = "train"
    """``judge`` trains on documents that no rival trains on, for a judge model."""
    valid_fraction: float = Field(0.05, gt=0, lt=0.5)
    """Share of the documents that is held out and scored, where ``valid`` names no other source."""
    judge_fraction: float = Field(0.05, gt=0, lt=0.5)
    """Share of the documents that no rival trains on, kept for a judge model."""
    normalize: Literal["NFC"] | None = None
    """Unicode normalisation of the text before it is tokenized; ``None``: text stays as it is."""
    keep: dict[Literal["devanagari", "latin", "letters"], Annotated[float, Field(ge=0, le=1)]] | None = Field(
        None, exclude_if=lambda value: not value
    )
    """Least shares (``devanagari``, ``latin``, ``letters``) of a document of ``source``; others are left out whole."""
    text_field: str = "text"
    """The field of a JSON line, or the column of a table, that holds the text."""
    tokenizer: str = "bpe"
    """``bytes``, ``bpe`` (trained on the corpus), or ``hf:owner/name``."""
    vocab_size: int = Field(2048, ge=260)
    """Token ids of a ``bpe`` tokenizer, specials included."""
    balance: bool = Field(False, exclude_if=lambda value: not value)
    """A ``bpe`` tokenizer counts the words of each script as often as those of every other."""
    length: int = Field(128, ge=4)
    """Tokens in a block (T), BOS included."""


class ProcessSection(BaseModel):
    """The process's name, and its own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "causal"
    """Which process."""


class BackboneSection(BaseModel):
    """The network's name, and its own configuration."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "transformer"
    """Which network."""
    match: dict[str, Any] | None = Field(None, exclude_if=lambda value: value is None)
    """A rival network (its ``name``, and sizes where they differ): ``intermediate_size`` is chosen so that this one has
    as many parameters."""


class SamplerSection(BaseModel):
    """The default sampler of the run, and its settings. ``name`` empty: the process's own."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = ""
    """Which sampler; empty: the process's own."""


class TrainingSection(BaseModel):
    """How to optimise: our keys, and those fields of ``transformers.TrainingArguments`` that change something here."""

    model_config = ConfigDict(extra="allow", frozen=True)

    max_steps: int = Field(1000, ge=1, le=MOST_STEPS)
    """Optimiser steps."""
    init: str | None = Field(None, min_length=1, exclude_if=lambda value: value is None)
    """``run:DIR``, or a run's name: begin with that run's weights and tokenizer, whatever its process was."""
    epochs: float | None = Field(None, gt=0, le=1e6, exclude_if=lambda value: value is None)
    """Passes over the corpus in place of ``max_steps``, which follow from them when training starts."""
    per_device_train_batch_size: int = Field(16, ge=1, le=2**24)
    """Blocks of text a step, on each device."""
    gradient_accumulation_steps: int = Field(1, ge=1, le=2**24)
    """Batches whose gradients are added up before a step."""
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Peak learning rate."""
    weight_decay: float = Field(0.1, ge=0, allow_inf_nan=False)
    """Decoupled weight decay of AdamW."""
    adam_beta2: float = Field(0.95, gt=0, lt=1)
    """Decay of the second moment of AdamW."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Longest gradient; longer ones are scaled down to it. 0: none is."""
    warmup_steps: float = Field(50, ge=0, le=MOST_STEPS)
    """Steps; below 1 a share of all steps."""
    lr_scheduler_type: str = DEFAULT_SCHEDULE
    """How the learning rate goes on after the warmup; the names are those of ``transformers``."""
    lr_scheduler_kwargs: dict[str, Any] | None = None
    """What the schedule of ``lr_scheduler_type`` takes; unless given, what it needs (``DEFAULT_SCHEDULES``)."""
    logging_steps: int = Field(20, ge=1)
    """Steps between two lines of ``metrics.jsonl``."""
    save_steps: int = Field(500, ge=1)
    """Steps between two checkpoints."""
    eval_steps: int = Field(500, ge=1)
    """Steps between two scores of held-out text."""
    save_total_limit: int = Field(2, ge=1)
    """Checkpoints that are kept; older ones are removed."""
    valid_blocks: int = Field(64, ge=0)
    """Blocks of held-out text scored during training; 0: none."""
    ema: float | None = Field(0.999, gt=0, lt=1)
    """Decay of the exponential moving average of the weights, which the run's ``model.safetensors`` then holds."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """``auto``: bf16 where the hardware is fast at it."""
    threads: int | None = Field(None, ge=1, le=1024, exclude_if=lambda value: value is None)
    """Threads of the processor; ``None``: what OMP_NUM_THREADS says, else as many as cores are free at the start."""
    plot_every: int | None = Field(None, ge=1, exclude_if=lambda value: value is None)
    """Steps between two sets of the pictures that ``unmask plot`` draws, with one more at the end; ``None``: none."""
    detect_anomaly: bool = Field(False, exclude_if=lambda value: not value)
    """Stop where the backward pass makes a NaN, and say which operation made it (slow)."""

    @model_validator(mode="before")
    @classmethod
    def _schedule(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "lr_scheduler_kwargs" in given:
            return given
        kind = given.get("lr_scheduler_type", DEFAULT_SCHEDULE)
        return {**given, "lr_scheduler_kwargs": DEFAULT_SCHEDULES.get(str(kind))}

    @model_validator(mode="after")
    def _steps_or_epochs(self) -> TrainingSection:
        if self.epochs is not None and "max_steps" in self.model_fields_set:
            raise Error(
                f"training.epochs {self.epochs:g} and training.max_steps {self.max_steps} both say how long to train; "
                "leave one out."
            )
        return self

    @model_serializer(mode="wrap")
    def _one_of_both(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        if self.epochs is not None:
            found.pop("max_steps", None)
        return found


class EvidenceSection(Section):
    """Texts of an index as the network's memory, looked up by the beginning of each document."""

    index: str
    """Folder of an index (``unmask index build``)."""
    texts: int = Field(4, ge=1)
    """Texts for a document."""
    query: int = Field(64, ge=1)
    """Tokens of a document that are its query; they are given, never predicted, where there is evidence."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of the rows that train without evidence."""


class DecideSection(Section):
    """Decision rules that the recipe's runs have to pass in ``unmask compare`` (see ``unmask.evaluation.rules``)."""

    against: str
    """The row or recipe that it is held against."""
    rules: tuple[str, ...] = Field(min_length=1)
    """What has to hold, such as ``bits_per_byte <= 1.02x``; see ``unmask.evaluation.rules``."""

    @field_validator("rules")
    @classmethod
    def _readable(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for rule in rules:
            parse_rule(rule)
        return rules


SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSection,
    "process": ProcessSection,
    "backbone": BackboneSection,
    "sampler": SamplerSection,
    "training": TrainingSection,
    "qcontroller": ControllerOptions,
    "thought": ThoughtOptions,
    "evidence": EvidenceSection,
    "distill": DistillOptions,
    "lora": LoraOptions,
    "decide": DecideSection,
}
"""Name in a recipe -> its keys."""
