"""The plan of a sweep: recipes x grid x seeds to train, samplers to try on runs, and how all of it is judged.

    recipes: [nano-masked]
    set: {training.max_steps: 300}                     # for every row
    grid:
      process.schedule: [linear, cosine]               # a recipe key and its values
      network:                                         # named variants, each a set of recipe keys
        small: {backbone.hidden_size: 64}
        wide: {backbone.hidden_size: 256}
    seeds: 3
    samplers: [{name: ancestral, steps: [8, 32]}]      # written as in a recipe; a list is an axis

Unknown keys are refused with the nearest right one, as in recipes.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from unmask.errors import Error, nearest
from unmask.training.recipe import Recipe
from unmask.training.sections import ALIASES, Section

_PARTS = ("process", "backbone", "sampler")
"""Sections whose bare name stands for their ``name``."""
Variants = dict[str, dict[str, Any]]


class Budget(Section):
    """What every trained row gets, one of three; ``training.max_steps`` follows from it."""

    tokens: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Training tokens, as ``unmask train --dry-run`` counts them."""
    flops: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Training FLOPs: the recipe's FLOPs a token times its tokens."""
    time: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Seconds of training steps. A row ends when they are over, or after ``training.max_steps`` if that comes first."""

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if sum(value is not None for value in (self.tokens, self.flops, self.time)) != 1:
            raise Error("the plan's budget must be exactly one of tokens, flops, time.")
        return self


class StopEarly(Section):
    """Median stopping at common points: all rows pause there, and those clearly worse than the median stop."""

    metric: Literal["valid_nats_per_token"] = "valid_nats_per_token"
    """What is looked at: the bound (or exact figure) of held-out blocks, which training logs."""
    after: list[float] = [0.25]
    """The points, as shares of a row's training."""
    worse_than: float = Field(1.1, ge=1, allow_inf_nan=False)
    """A row stops if its metric is above this many times the median of the rows like it."""

    @field_validator("after", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    @field_validator("after")
    @classmethod
    def _shares(cls, value: list[float]) -> list[float]:
        if not value or any(not 0 < share < 1 for share in value) or sorted(set(value)) != value:
            raise Error(f"stop_early.after is {value}; it must be growing shares of the training between 0 and 1.")
        return value


class Evaluate(Section):
    """How the trained rows are scored: one held-out text for all."""

    source: str | None = None
    """Held-out text; ``null``: the valid split of the first row's corpus."""
    documents: int = Field(200, ge=1)
    draws: int = Field(8, ge=1)
    """Network calls a window where a likelihood is a bound."""
    seed: int = Field(0, ge=0, lt=2**32)


class Sample(Section):
    """How samplers are tried."""

    samples: int = Field(32, ge=1)
    """Texts that each way to sample writes."""
    length: int | None = Field(None, ge=1)
    """Tokens of a text; ``null``: what the shortest context holds, at most 256."""
    batches: list[int] = [1, 8]
    """Batch sizes at which generation is timed."""
    judge: str = "n-gram"
    """``n-gram`` (fitted on text that no row trained on), ``none``, or a run that no row's text has trained."""
    seed: int = Field(0, ge=0, lt=2**32)

    @field_validator("batches")
    @classmethod
    def _counts(cls, value: list[int]) -> list[int]:
        if not value or min(value) < 1:
            raise Error(f"sample.batches is {value}; it must be numbers of at least 1.")
        return value


class Decide(Section):
    """One question: whether a choice earns its place beside another (:mod:`unmask.sweeps.decisions`)."""

    keep: dict[str, Any] = Field(min_length=1)
    """Axis of the grid, or setting of a sampler -> the choice, or a list of them."""
    against: dict[str, Any]
    """The same axes -> the choice that it is held against."""
    rules: list[str] = Field(min_length=1)
    """As in a recipe: ``bits_per_byte <= 1.02x``."""


class SweepPlan(Section):
    """A plan as it is written."""

    name: str = "plan"
    about: str = ""
    """One line for ``unmask sweep --list``."""
    recipes: list[str] = []
    """Packaged names or YAML files (beside the plan, or where the command runs)."""
    set: dict[str, Any] = {}
    """Recipe keys that every row gets, unless a named set of the grid says otherwise."""
    grid: dict[str, list[Any] | Variants] = {}
    """Axes: a recipe key with its values, or a name of yours with named sets of recipe keys."""
    seeds: int | list[int] | None = None
    """Seeds, or how many (0, 1, ...); ``null``: the recipe's own."""
    runs: list[str] = []
    """Run folders that the samplers are tried on, beside the rows just trained."""
    samplers: list[dict[str, Any]] = []
    """Sampler sections as in a recipe, a list of values being an axis."""
    budget: Budget | None = None
    stop_early: StopEarly | None = None
    evaluate: Evaluate = Evaluate()
    sample: Sample = Sample()
    decide: list[Decide] = []
    """Questions that the report answers."""

    @field_validator("recipes", "runs", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("samplers", mode="before")
    @classmethod
    def _bare_names(cls, value: Any) -> Any:
        value = value if isinstance(value, list) else [value]
        return [{"name": entry} if isinstance(entry, str) else entry for entry in value]

    @model_validator(mode="after")
    def _makes_sense(self) -> SweepPlan:
        if not self.recipes and not self.runs:
            raise Error("the plan trains nothing and names no runs; give recipes, or runs with samplers.")
        if self.runs and not self.samplers:
            raise Error("the plan names runs but no samplers; say which samplers to try on them.")
        if not self.recipes and (self.grid or self.set or self.budget or self.stop_early or self.seeds is not None):
            raise Error("the plan has set, grid, seeds, budget or stop_early but no recipes to train; name recipes.")
        if isinstance(self.seeds, int) and self.seeds < 1 or self.seeds == []:
            raise Error(f"seeds is {self.seeds}; give a list of seeds, or how many, at least 1.")
        if len(set(self.seed_list)) < len(self.seed_list):
            raise Error(f"seeds is {self.seeds}; a seed is there twice.")
        for number, section in enumerate(self.samplers, start=1):
            if not isinstance(section.get("name"), str):
                raise Error(
                    f"sampler {number} of the plan has no name; write it as {{name: ancestral, steps: [8, 32]}}."
                )
        self._check_axes()
        return self

    def _check_axes(self) -> None:
        common = set(flat(self.set, "set"))
        owners: dict[str, str] = {}
        for axis, values in self.grid.items():
            if not values:
                raise Error(f"grid axis {axis!r} of the plan has no values; give some, or leave it out.")
            if isinstance(values, list):
                keys = set(flat({axis: values[0]}, "grid"))
                if any(values.count(value) > 1 for value in values):
                    raise Error(f"grid axis {axis!r} of the plan has a value twice.")
                if both := keys & common:
                    raise Error(f"recipe key {min(both)} is in set and in the grid of the plan; set it once.")
            else:
                keys = {key for name, chosen in values.items() for key in flat(chosen, f"grid.{axis}.{name}")}
            for key in sorted(keys):
                if key in owners:
                    raise Error(f"recipe key {key} is set by {owners[key]!r} and {axis!r} of the grid; set it once.")
                owners[key] = axis
        wanted = self.budget is not None and self.budget.time is None
        if wanted and "training.max_steps" in {*owners, *common}:
            raise Error("the plan's budget decides training.max_steps; leave the key or the budget out.")

    @property
    def seed_list(self) -> list[int]:
        """The seeds; empty: each recipe's own."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds or [])


def flat(keys: dict[str, Any], place: str) -> dict[str, Any]:
    """Return recipe keys as ``section.key``, aliases resolved, sections given as mappings opened up.

    Args:
        keys: ``section.key``, or ``section`` with a name or a mapping.
        place: Where in the plan they stand, for the message.

    Raises:
        Error: no such section, or a key that the plan itself decides.
    """
    out: dict[str, Any] = {}
    for key, value in keys.items():
        section, _, rest = key.partition(".")
        if section == "seed":
            raise Error(f"{place} of the plan has seed; give seeds at the top of the plan.")
        if section not in Recipe.model_fields or section in ("name", "about"):
            raise Error(f"unknown recipe key {key!r} in {place} of the plan.{nearest(section, Recipe.model_fields)}")
        if not rest and isinstance(value, dict):
            out |= flat({f"{section}.{name}": inner for name, inner in value.items()}, place)
        elif not rest and section not in _PARTS:
            raise Error(f"{place} of the plan has {key!r} with no key in it; write it as {section}.key.")
        else:
            out[f"{section}.{ALIASES.get(section, {}).get(rest, rest or 'name')}"] = value
    return out
