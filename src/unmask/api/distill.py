"""Distil from Python: a run becomes the teacher of another one, which writes in fewer steps.

A student is trained as any run is: its recipe is the teacher's with a section ``distill``, begun with the teacher's
weights. What is special stands here: what a recipe that trains a student says unless it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.api.train import plan, train
from unmask.diffusion.distill_options import DistillOptions
from unmask.diffusion.registry import PROCESSES
from unmask.sampling.registry import SAMPLERS
from unmask.training.places import own_text
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import RECIPE, Run

if TYPE_CHECKING:
    from unmask.training.plan import Plan

SHARE = 0.25
"""Of the teacher's steps that a student takes."""
RATE = 0.3
"""Of the teacher's learning rate."""


def distill(
    run: str | Path | Run,
    overrides: Iterable[str] = (),
    *,
    output: str | Path | None = None,
    resume: bool = False,
    allow_code: bool = False,
) -> Run:
    """Train a student of a run: it learns to write in a few steps what the run writes in many.

    Args:
        run: The teacher, of process ``masked`` or ``block``: a run folder, its name, or an opened run.
        overrides: ``steps=4`` and the other keys of section ``distill``, or ``section.key=value`` of any section.
        output: The student's folder; default ``runs/NAME-distilled``.
        resume: Continue the run in ``output`` with the recipe it was started with.
        allow_code: Import code that the teacher's recipe names (a schedule ``module:function``).

    Returns:
        The student, a run like any other; its default sampler takes ``steps`` steps.

    Raises:
        Error: the user's mistakes, with what to do.
    """
    return train(student(run, overrides), output=output, resume=resume, allow_code=allow_code)


def plan_student(run: str | Path | Run, overrides: Iterable[str] = (), *, allow_code: bool = False) -> Plan:
    """Say what a student will cost, without training it; see :func:`distill`.

    Raises:
        Error: the user's mistakes, with what to do.
    """
    return plan(student(run, overrides), allow_code=allow_code)


def student(run: str | Path | Run, overrides: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a run's student: the run's own, begun with its weights, with a section ``distill``.

    Raises:
        Error: no run, one whose process cannot be taught, or a key or value that cannot be.
    """
    teacher = run if isinstance(run, Run) else Run.open(run)
    given = [f"distill.{each}" if each.partition("=")[0] in DistillOptions.model_fields else each for each in overrides]
    said = {each.partition("=")[0] for each in given}
    recipe = load_recipe(teacher.path / RECIPE, [*_usual(teacher, said), *given])
    block = getattr(recipe.process_options(), "sizes", (0,))[-1]
    more: list[tuple[str, Any]] = []
    if recipe.distill is not None and block and "distill.teacher_steps" not in said:
        more.append(("distill.teacher_steps", _within(block, recipe.distill.steps)))
    if recipe.distill is not None and "steps" in SAMPLERS.facts(_sampler(recipe)).model_fields:
        more.append(("sampler.steps", recipe.distill.steps))
    return load_recipe(teacher.path / RECIPE, [*_usual(teacher, said), *more, *given])


def _usual(teacher: Run, said: Container[str]) -> list[tuple[str, Any]]:
    """Return what a student's recipe says unless it is told otherwise."""
    recipe, options = teacher.recipe, teacher.recipe.process_options()
    keys: dict[str, Any] = {
        "name": f"{teacher.name}-distilled",
        "about": "",
        "seed": recipe.seed + 1,
        "distill": None,  # a teacher may be a student itself
        "distill.steps": max(1, options.sizes[-1] // 4) if hasattr(options, "sizes") else 4,
        "training.init": f"run:{teacher.path}",
        "training.max_steps": max(1, round(SHARE * teacher.manifest.get("steps", recipe.training.max_steps))),
        "training.learning_rate": RATE * recipe.training.learning_rate,
        "training.warmup_steps": 0.05,
        "decide": None,
    }
    later = {"weighting": "ce", "causal_warmup": 0, "curriculum_start": None}
    keys |= {f"process.{key}": value for key, value in later.items() if hasattr(options, key)}
    keys |= own_text(teacher.manifest, recipe.data, said)
    return list(keys.items())


def _sampler(recipe: Recipe) -> str:
    return recipe.sampler.name or PROCESSES.facts(recipe.process.name).sampler


def _within(block: int, steps: int) -> int:
    """Return ``steps`` doubled as often as a block has words for, at least once."""
    many = 2 * steps
    while 2 * many <= block:
        many *= 2
    return many
