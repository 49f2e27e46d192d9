"""Adapt from Python: a run that writes left to right becomes one that writes blocks, or any words of a text.

The new run is trained as any run is: its recipe is the other's with another process, begun with the other's weights
(A2D, Fast-dLLM v2, DiffuLLaMA). It keeps the network, whose state at p - 1 predicts token p; block runs keep the
left-to-right side, and their blocks grow from one word, where the bound is the chain rule. What is special stands here:
what such a recipe says unless it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.api.train import plan, train
from unmask.errors import Error, nearest
from unmask.lines import leads
from unmask.training.combination import CHAT as PROCESSES
from unmask.training.places import own_text
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import MANIFEST, RECIPE, Run, write_json

if TYPE_CHECKING:
    from unmask.training.plan import Plan

SHARE = 0.25
"""Of the other run's steps that are taken."""
RATE = 0.1
"""Of its learning rate; adapters take the whole of it."""
GROWTH = 0.5
"""Share of the steps over which blocks grow."""
LENGTH, ROWS = 256, 8
"""Most tokens of a block, and blocks a step, for weights that were trained elsewhere: they are large."""


def adapt(
    run: str | Path | Run,
    overrides: Iterable[str] = (),
    *,
    output: str | Path | None = None,
    resume: bool = False,
    allow_code: bool = False,
) -> Run:
    """Make a block or masked run of a run that writes left to right, or teach a run to answer prompts.

    Args:
        run: The run to begin with: a folder, its name, or an opened run, imported or not.
        overrides: ``section.key=value``, such as ``process=masked``, ``data.source=FILE``, ``data.format=chat``,
            ``lora.rank=16``.
        output: The new run's folder; default ``runs/NAME-PROCESS``.
        resume: Continue the run in ``output`` with the recipe it was started with.
        allow_code: Import code that the other's recipe names (a schedule ``module:function``).

    Returns:
        The new run. ``run.manifest["adapted"]`` has ``causal_before`` and ``causal_after``, the exact bits per byte
        left to right of held-out blocks, where both can be told.

    Raises:
        Error: the user's mistakes, with what to do.
    """
    parent = run if isinstance(run, Run) else Run.open(run)
    recipe = adapted(parent, overrides, resume=resume)
    found = train(recipe, output=output, resume=resume, allow_code=allow_code)
    if found.manifest["status"] == "finished" and "adapted" not in found.manifest and leads():
        from unmask.training.adapted import causal_sides

        if sides := causal_sides(found, parent):
            found.manifest["adapted"] = sides
            write_json(found.path / MANIFEST, found.manifest)
    return found


def plan_adapted(run: str | Path | Run, overrides: Iterable[str] = (), *, allow_code: bool = False) -> Plan:
    """Say what adapting will cost, without doing it; see :func:`adapt`.

    Raises:
        Error: the user's mistakes, with what to do.
    """
    return plan(adapted(run, overrides), allow_code=allow_code)


def adapted(run: str | Path | Run, overrides: Iterable[str] = (), *, resume: bool = False) -> Recipe:
    """Return the recipe by which a run is adapted.

    Args:
        run: The run to begin with.
        overrides: As of :func:`adapt`.
        resume: A run goes on by its own recipe, and needs to be told no text.

    Raises:
        Error: no run, one of a process that cannot be adapted, no text to learn from, or a key that cannot be.
    """
    parent = run if isinstance(run, Run) else Run.open(run)
    given = list(overrides)
    said = dict(each.partition("=")[::2] for each in given)
    own = parent.recipe.process.name
    if own not in PROCESSES:
        raise Error(f"{parent.name} is a run of process {own}; adapt takes one of {', '.join(PROCESSES)}.")
    process = said.get("process.name", said.get("process", own if own != "causal" else "block"))
    if process not in PROCESSES:
        raise Error(f"adapt makes runs of process {', '.join(PROCESSES)}, not {process}.{nearest(process, PROCESSES)}")
    return load_recipe(parent.path / RECIPE, [*_usual(parent, process, said, resume).items(), *given])


def _usual(parent: Run, process: str, said: Mapping[str, str], resume: bool) -> dict[str, Any]:
    """Return what the recipe says unless it is told otherwise."""
    recipe = parent.recipe
    adapters = any(key.partition(".")[0] == "lora" for key in said)
    keys: dict[str, Any] = {
        "name": f"{parent.name}-{process}",
        "about": "",
        "seed": recipe.seed + 1,
        "distill": None,
        "lora": None,
        "decide": None,
        "training.init": f"run:{parent.path}",
        "training.max_steps": max(1, round(SHARE * parent.manifest.get("steps", recipe.training.max_steps))),
        "training.learning_rate": (1.0 if adapters else RATE) * recipe.training.learning_rate,
        "training.warmup_steps": 0.05,
        **_process(parent, process),
    }
    if parent.imported:
        if "data.source" not in said and not resume:
            raise Error(f"what {parent.name} was trained on is not known here: give it text, -o data.source=FILE.")
        keys |= {"data.length": min(recipe.data.length, LENGTH), "training.per_device_train_batch_size": ROWS}
        return keys
    return keys | own_text(parent.manifest, recipe.data, said)


def _process(parent: Run, process: str) -> dict[str, Any]:
    options = parent.recipe.process_options()
    if process != parent.recipe.process.name:
        own: dict[str, Any] = {"name": process}
        if not options.isolate_documents:
            own["isolate_documents"] = False
        if process == "block":
            own["block_growth"] = GROWTH
        return {"process": own}
    later = {"causal_warmup": 0, "curriculum_start": None, "block_growth": 0}
    return {f"process.{key}": value for key, value in later.items() if hasattr(options, key)}
