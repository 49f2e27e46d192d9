"""The packaged recipes: list them, read one, copy one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unmask.errors import Error
from unmask.lines import line
from unmask.training.recipe import Recipe, load_recipe, recipe_names


@dataclass(frozen=True)
class RecipeLine:
    """One packaged recipe, in short."""

    name: str
    about: str
    process: str
    backbone: str
    source: str

    def __repr__(self) -> str:
        return line("RecipeLine", f"{self.name}: {self.about}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def recipes() -> list[RecipeLine]:
    """Return every packaged recipe."""
    lines = []
    for name in recipe_names():
        recipe = load_recipe(name)
        lines.append(RecipeLine(name, recipe.about, recipe.process.name, recipe.backbone.name, recipe.data.source))
    return lines


def copy_recipe(name: str, to: Path) -> Recipe:
    """Write a recipe, every key resolved, to a file of the user's.

    Raises:
        Error: unknown recipe, or the file exists.
    """
    recipe = load_recipe(name)
    if to.exists():
        raise Error(f"{to} exists; choose another name or remove it.")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(recipe.to_yaml(), encoding="utf-8")
    return recipe
