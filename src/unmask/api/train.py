"""Train from Python: a recipe becomes a run folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from unmask.errors import Error
from unmask.own_code import allowing
from unmask.training.find_run import HOME, named_folder
from unmask.training.folder import check_start
from unmask.training.named_code import check_code
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import Run
from unmask.training.trainer_check import check_trainer
from unmask.training.warm_start import warm_start

if TYPE_CHECKING:
    from unmask.training.plan import Plan


def resolve(recipe: str | Path | Recipe, overrides: Iterable[str] = ()) -> Recipe:
    """Return a recipe with overrides applied.

    Raises:
        Error: unknown recipe or key, or overrides beside a recipe that is already resolved.
    """
    if isinstance(recipe, Recipe):
        if overrides := list(overrides):
            raise Error(f"overrides {overrides} need a recipe's name or file; this recipe is resolved already.")
        check_trainer(recipe.training)
        return recipe
    return load_recipe(recipe, overrides)


def plan(recipe: str | Path | Recipe, overrides: Iterable[str] = (), *, allow_code: bool = False) -> Plan:
    """Say what a recipe will cost, without training: parameters, FLOPs a token, memory.

    Args:
        recipe: A packaged name, a YAML file, or a resolved recipe.
        overrides: ``section.key=value`` strings.
        allow_code: Import code that the recipe names.

    Raises:
        Error: the user's mistakes, with what to do.
    """
    resolved = resolve(recipe, overrides)
    with allowing(allow_code):
        check_code(resolved)
        settled, start = warm_start(resolved)
        from unmask.training.plan import plan as plan_recipe

        return plan_recipe(settled, start=start)


def train(
    recipe: str | Path | Recipe,
    overrides: Iterable[str] = (),
    *,
    output: str | Path | None = None,
    resume: bool = False,
    allow_code: bool = False,
) -> Run:
    """Train a recipe.

    Args:
        recipe: A packaged name, a YAML file, or a resolved recipe.
        overrides: ``section.key=value`` strings.
        output: The run folder; default ``runs/<recipe name>``.
        resume: Continue the run in ``output`` with the recipe it was started with.
        allow_code: Import code that the recipe names (a schedule ``module:function``).

    Returns:
        The run; ``run.manifest["status"]`` is ``finished``, or ``interrupted`` after Ctrl-C.

    Raises:
        Error: the user's mistakes, with what to do.
    """
    resolved = resolve(recipe, overrides)
    folder = Path(output) if output else named_folder(HOME, "the recipe", resolved.name)
    with allowing(allow_code):
        if not resume:  # then it is the run's own recipe that counts
            check_code(resolved)
        check_start(resolved, folder, resume)
        from unmask.sweeps.train_recipe import train_recipe

        run = train_recipe(resolved, folder, resume)
    run.allow_code = allow_code
    return run
