"""``--allow-code``, for every verb that opens runs or recipes: these may name code (:mod:`unmask.own_code`)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

OPENS = {"run", "runs", "run_a", "recipe", "plan", "fallback", "embedder", "judge", "index"}
"""Parameters that name a run, a recipe, or an index that a run was made for."""
_HELP = "Import code that a recipe or run names (module:function). Only if you trust its author."


def with_code(verb: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a verb with the option, if it opens runs or recipes; what it does is in :class:`unmask.cli.app.Verb`."""
    assert verb is not None
    shape = inspect.signature(verb, eval_str=True)
    if not OPENS & shape.parameters.keys() or "allow_code" in shape.parameters:
        return verb

    @functools.wraps(verb)
    def opening(*, allow_code: bool = False, **given: Any) -> Any:
        return verb(**given)

    kind = Annotated[bool, typer.Option("--allow-code", help=_HELP)]
    option = inspect.Parameter("allow_code", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
    parameters = [*shape.parameters.values(), option]
    opening.__dict__["__signature__"] = shape.replace(parameters=parameters)
    opening.__annotations__ = {one.name: one.annotation for one in parameters}
    return opening
