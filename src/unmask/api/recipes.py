"""The packaged recipes: list them, read one, copy one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unmask.data.cache import writing
from unmask.errors import Error
from unmask.result import Result
from unmask.training.recipe import Recipe, load_recipe, recipe_names


@dataclass(frozen=True, repr=False)
class RecipeLine(Result):
    """One packaged recipe, in short."""

    name: str
    about: str
    process: str
    backbone: str
    source: str

    def _facts(self) -> tuple[str, ...]:
        return (f"{self.name}: {self.about}",)


def recipes() -> list[RecipeLine]:
    """Return every packaged recipe."""
    lines = []
    for name in recipe_names():
        recipe = load_recipe(name)
        lines.append(RecipeLine(name, recipe.about, recipe.process.name, recipe.backbone.name, recipe.data.source))
    return lines


def copy_recipe(recipe: str | Path, output: str | Path) -> Recipe:
    """Write a recipe, every key resolved, to a file of the user's.

    Raises:
        Error: unknown recipe, or the file exists or cannot be written.
    """
    resolved, to = load_recipe(recipe), Path(output)
    if to.exists():
        raise Error(f"{to} exists; choose another name or remove it.")
    with writing(to, "name another output"):
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(resolved.to_yaml(), encoding="utf-8")
    return resolved
