"""From a plan to its rows: every recipe under every choice of the grid with every seed, costed before any is trained.

A row's id is the hash of its resolved recipe without name, description and decision rules (and of a budget in seconds,
which no recipe holds): the same training has the same id whatever the plan calls it, so a sweep that is started again
finds its rows.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unmask.errors import Error, UnknownPart
from unmask.sweeps.plan import SweepPlan, flat
from unmask.training.plan import Plan
from unmask.training.plan import plan as cost_of
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.values import read_value
from unmask.training.warm_start import warm_start


@dataclass(frozen=True)
class RowPlan:
    """A row that a plan asks for.

    Attributes:
        id: Hash of what is trained; empty where a part is missing.
        label: Its choices in words, the seed last where there are several.
        configuration: The same without the seed.
        values: Axis -> chosen value, in words.
        numbers: Axis -> chosen value where it is a number.
        seed: Of its training; ``None`` where a part is missing and the recipe cannot be read.
        cost: Recipe, parameters, FLOPs, tokens, memory; ``None`` where a part is missing.
        missing: What is not there (yet), such as "unknown backbone 'eco'"; empty for a row that can be trained.
    """

    id: str
    label: str
    configuration: str
    values: dict[str, str]
    numbers: dict[str, float]
    seed: int | None
    cost: Plan | None
    missing: str = ""


def expand(plan: SweepPlan, options: Iterable[str] = ()) -> list[RowPlan]:
    """Return the rows to train, in the plan's order: recipes, then the axes from the first to the last, then seeds.

    Args:
        plan: The plan.
        options: ``section.key=value`` for every row, over the plan's ``set``.

    Raises:
        Error: a row that cannot be trained, save for a process, network or sampler that does not exist; two rows that
            would train the same.
    """
    common = {**flat(plan.set, "set"), **_options(plan, options)}
    axes = _axes(plan)
    short = {"recipe": "", **_short_names(plan)}
    called = _recipe_words(plan.recipes)
    rows: list[RowPlan] = []
    for recipe in plan.recipes:
        for choice in itertools.product(*axes.values()):
            keys = {**common, **{key: value for _, _, chosen in choice for key, value in chosen.items()}}
            values = {"recipe": called[recipe]} if len(plan.recipes) > 1 else {}
            values |= {axis: word for axis, (word, _, _) in zip(axes, choice, strict=True)}
            numbers = {axis: n for axis, (_, n, _) in zip(axes, choice, strict=True) if n is not None}
            configuration = ", ".join(short[axis] + word for axis, word in values.items()) or called[recipe]
            for seed in plan.seed_list or [None]:
                label = configuration if len(plan.seed_list) < 2 else f"{configuration}, seed {seed}"
                row = RowPlan("", label, configuration, values, numbers, seed, None)
                rows.append(_resolved(row, recipe, keys, plan))
    first: dict[str, str] = {}
    for row in rows:
        if row.id and row.id in first:
            raise Error(f"rows {first[row.id]!r} and {row.label!r} of the plan are the same training; leave one out.")
        first[row.id] = row.label
    return rows


def _options(plan: SweepPlan, options: Iterable[str]) -> dict[str, Any]:
    """Read ``section.key=value`` options, and refuse those that the plan decides otherwise."""
    out: dict[str, Any] = {}
    decided = {key for axis, values in plan.grid.items() for key in _keys(axis, values)}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not key:
            raise Error(f"override {option!r} must look like section.key=value.")
        given = flat({key: read_value(key, text)}, "--option")
        for name in given:
            if name in decided:
                raise Error(f"{name} is an axis of the plan's grid; copy the plan and change it there.")
            if name == "training.max_steps" and plan.budget is not None and plan.budget.time is None:
                raise Error("the plan's budget decides training.max_steps; copy the plan and change the budget.")
        out |= given
    return out


def _keys(axis: str, values: Any) -> set[str]:
    if isinstance(values, dict):
        return {key for chosen in values.values() for key in flat(chosen, f"grid.{axis}")}
    return {key for value in values for key in flat({axis: value}, "grid")}


Choice = tuple[str, float | None, dict[str, Any]]
"""A value in words, as a number if it is one, and the recipe keys that it sets."""


def _axes(plan: SweepPlan) -> dict[str, list[Choice]]:
    axes: dict[str, list[Choice]] = {}
    for axis, values in plan.grid.items():
        if isinstance(values, dict):
            axes[axis] = [(name, None, flat(chosen, f"grid.{axis}.{name}")) for name, chosen in values.items()]
        else:
            axes[axis] = [(in_words(value), _number(value), flat({axis: value}, "grid")) for value in values]
    return axes


def in_words(value: Any) -> str:
    """Return a value as a plan would write it."""
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _recipe_words(recipes: Sequence[str]) -> dict[str, str]:
    """Return how labels call each recipe: a file's name without folder and ending, where that is enough."""
    stems = {recipe: recipe.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml") for recipe in recipes}
    often = Counter(stems.values())
    return {recipe: stem if often[stem] == 1 else recipe for recipe, stem in stems.items()}


def _short_names(plan: SweepPlan) -> dict[str, str]:
    """Return what stands before a value: the axis's last part where that is enough; nothing before a named variant."""
    tails = {axis: axis.rpartition(".")[2] for axis in plan.grid}
    often = Counter(tails.values())
    words = {axis: tail if often[tail] == 1 else axis for axis, tail in tails.items()}
    return {axis: "" if isinstance(plan.grid[axis], dict) else f"{word}=" for axis, word in words.items()}


def _resolved(row: RowPlan, recipe: str, keys: dict[str, Any], plan: SweepPlan) -> RowPlan:
    # A part's name comes first: another name drops the options of the part that the recipe had.
    ordered = sorted(keys.items(), key=lambda item: (not item[0].endswith(".name"), item[0].count(".")))
    overrides = [*ordered, *([] if row.seed is None else [("seed", row.seed)])]
    try:
        cost = _within_budget(load_recipe(recipe, overrides), plan)
    except UnknownPart as error:
        if error.kind not in ("process", "backbone", "sampler"):
            raise Error(f"row {row.label!r} of the plan: {error}") from error
        return replace(row, missing=what_is_missing(error))
    except Error as error:
        raise Error(f"row {row.label!r} of the plan: {error}") from error
    seconds = plan.budget.time if plan.budget is not None else None
    _check_points(row, cost.recipe, plan)
    return replace(row, id=row_id(cost.recipe, seconds), seed=cost.recipe.seed, cost=cost)


def what_is_missing(error: UnknownPart) -> str:
    """Return the part that does not exist, and the nearest one that does, without the list of all."""
    return str(error).partition(" Available:")[0].removesuffix(".")


def row_id(recipe: Recipe, seconds: float | None = None) -> str:
    """Return the hash of what is trained: the resolved recipe without what does not train, and a time budget."""
    content: dict[str, Any] = recipe.model_dump(exclude={"name", "about", "decide"})
    if seconds is not None:
        content["seconds"] = seconds
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _within_budget(recipe: Recipe, plan: SweepPlan) -> Plan:
    recipe, start = warm_start(recipe)
    cost, budget = cost_of(recipe, start=start), plan.budget
    if budget is None or budget.time is not None:
        if recipe.training.epochs is not None:
            raise Error("training.epochs are counted when training starts, a sweep is planned before: set max_steps.")
        return cost
    a_step = cost.tokens_per_step
    if budget.tokens is not None:
        wanted, name = budget.tokens, f"budget.tokens {budget.tokens:,.0f}"
    else:
        assert budget.flops is not None
        wanted, name = budget.flops / cost.training_flops_per_token, f"budget.flops {budget.flops:.3g}"
    steps = round(wanted / a_step)
    if steps < 1:
        raise Error(f"{name} is less than a step of {a_step:,.0f} tokens; raise it.")
    return cost.lasting(steps)


def _check_points(row: RowPlan, recipe: Recipe, plan: SweepPlan) -> None:
    if plan.stop_early is None:
        return
    if not recipe.training.valid_blocks:
        raise Error(f"row {row.label!r} of the plan has no held-out text to stop early by; set training.valid_blocks.")
    share = plan.stop_early.after[0]
    if (plan.budget is None or plan.budget.time is None) and share * recipe.training.max_steps < 1:
        raise Error(f"stop_early.after {share} is before the first step of row {row.label!r}; raise it.")
