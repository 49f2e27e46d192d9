"""Train from Python: a recipe becomes a run folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from unmask.compare.drawn_training import train_drawn
from unmask.training.plan import Plan
from unmask.training.plan import plan as plan_recipe
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import Run


def resolve(recipe: str | Path | Recipe, overrides: Iterable[str] = ()) -> Recipe:
    """Return a recipe with overrides applied.

    Raises:
        Error: unknown recipe or key, or overrides beside a recipe that is already resolved.
    """
    if isinstance(recipe, Recipe):
        if overrides := list(overrides):
            raise TypeError(f"overrides {overrides} need a recipe name or file, not a resolved recipe")
        return recipe
    return load_recipe(recipe, overrides)


def plan(recipe: str | Path | Recipe, overrides: Iterable[str] = ()) -> Plan:
    """Say what a recipe will cost, without training: parameters, FLOPs a token, memory."""
    return plan_recipe(resolve(recipe, overrides))


def train(
    recipe: str | Path | Recipe,
    overrides: Iterable[str] = (),
    output: str | Path | None = None,
    resume: bool = False,
) -> Run:
    """Train a recipe.

    Args:
        recipe: A packaged name, a YAML file, or a resolved recipe.
        overrides: ``section.key=value`` strings.
        output: The run folder; default ``runs/<recipe name>``.
        resume: Continue the run in ``output`` with the recipe it was started with.

    Returns:
        The run; ``run.manifest["status"]`` is ``finished``, or ``interrupted`` after Ctrl-C.

    Raises:
        Error: the user's mistakes, with what to do.
    """
    resolved = resolve(recipe, overrides)
    return train_drawn(resolved, Path(output) if output else Path("runs") / resolved.name, resume)
