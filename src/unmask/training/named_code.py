"""What a recipe names that is code of somebody's own: refused, unless it is allowed, before anything is imported."""

from __future__ import annotations

from unmask.diffusion.registry import is_code
from unmask.diffusion.script_options import KINDS
from unmask.own_code import check_allowed
from unmask.training.recipe import Recipe


def check_code(recipe: Recipe) -> None:
    """Refuse a recipe that names code, unless that is allowed (:mod:`unmask.own_code`).

    Raises:
        Error: it names some.
    """
    process = recipe.process_options()
    names = {"process.schedule": getattr(process, "schedule", "")}
    if (scripts := getattr(process, "scripts", None)) is not None:
        names |= {f"process.scripts.{kind}": getattr(scripts, kind) or "" for kind in KINDS}
    if recipe.thought is not None:
        names["thought.schedule"] = recipe.thought.schedule
    for key, name in names.items():
        if is_code(name):
            check_allowed(key, name)
