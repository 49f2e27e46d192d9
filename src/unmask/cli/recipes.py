"""``unmask recipes``: list, show or copy the packaged recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import note, print_json, say
from unmask.lines import shell


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe, every key resolved.")] = None,
    copy: Annotated[Path | None, typer.Option("--copy", help="Write the named recipe to a file of yours.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the packaged recipes, or show or copy one."""
    from unmask.api import recipes as api
    from unmask.errors import Error
    from unmask.training.recipe import load_recipe

    if copy is not None:
        if name is None:
            raise Error("say which recipe to copy: unmask recipes NAME --copy FILE.yaml")
        api.copy_recipe(name, copy)
        note(f"copied to {copy}; train it with: unmask train {shell(copy)}")
    elif name is not None:
        recipe = load_recipe(name)
        print_json(recipe.model_dump()) if json else say(recipe.to_yaml())
    elif json:
        print_json({"recipes": [line.to_dict() for line in api.recipes()]})
    else:
        for line in api.recipes():
            say(f"{line.name:24} {line.about}")
