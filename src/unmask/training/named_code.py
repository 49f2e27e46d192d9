"""What a recipe names that is code of somebody's own: refused, unless it is allowed, before anything is imported."""

from __future__ import annotations

from unmask.diffusion.registry import is_code
from unmask.own_code import check_allowed
from unmask.training.recipe import Recipe


def check_code(recipe: Recipe) -> None:
    """Refuse a recipe that names code, unless that is allowed (:mod:`unmask.own_code`).

    Raises:
        Error: it names some.
    """
    names = {"process.schedule": getattr(recipe.process_options(), "schedule", "")}
    if recipe.thought is not None:
        names["thought.schedule"] = recipe.thought.schedule
    for key, name in names.items():
        if is_code(name):
            check_allowed(key, name)
