"""Plans as files: the packaged ones, the user's own, and the one line about what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from unmask.data.yaml_text import load_yaml
from unmask.errors import Error, nearest
from unmask.sweeps.plan import SweepPlan
from unmask.training.values import is_text


def plan_names() -> list[str]:
    """Return the names of the packaged plans."""
    return sorted(
        p.name.removesuffix(".yaml") for p in files("unmask.packaged.plans").iterdir() if p.name.endswith(".yaml")
    )


def load_plan(name: str | Path) -> SweepPlan:
    """Return the plan of a packaged name or a YAML file.

    Raises:
        Error: no such plan, bad YAML, or an unknown key.
    """
    path = Path(name)
    packaged = files("unmask.packaged.plans") / f"{name}.yaml"
    listing = ", ".join(plan_names())
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise Error(f"plan file {name} does not exist; give a path that does, or one of: {listing}.")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise Error(f"plan file {path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    elif packaged.is_file():
        text = packaged.read_text(encoding="utf-8")
    else:
        raise Error(f"unknown plan {str(name)!r}.{nearest(str(name), plan_names())} Packaged plans: {listing}.")
    try:
        tree = load_yaml(text, _is_text) or {}
    except yaml.YAMLError as error:
        raise Error(f"plan {name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise Error(f"plan {name} must be a mapping of keys to values.")
    tree.setdefault("name", path.stem if path.suffix else str(name))
    if isinstance(recipes := tree.get("recipes"), str | list):
        listed = [recipes] if isinstance(recipes, str) else recipes
        tree["recipes"] = [_beside(path, str(recipe)) for recipe in listed]
    return parse_plan(tree)


_TEXTS = (
    ("name",),
    ("about",),
    ("recipes",),
    ("runs",),
    ("evaluate", "source"),
    ("sample", "judge"),
    ("samplers", "name"),
)


def _is_text(path: tuple[str, ...]) -> bool:
    """Tell whether a value of a plan is a text: a name, or what a recipe key that takes text is set to."""
    ends = (".".join(path[start:]) for start in (1, 2, 3) if path[:1] in (("set",), ("grid",)))
    return path in _TEXTS or any(is_text(end) for end in ends)


def _beside(plan: Path, recipe: str) -> str:
    """Return a recipe file that lies beside the plan as a path from here, all else as it is."""
    file = plan.parent / recipe
    return str(file) if Path(recipe).suffix in (".yaml", ".yml") and file.is_file() else recipe


def parse_plan(tree: dict[str, Any]) -> SweepPlan:
    """Validate a plan given as nested mappings.

    Raises:
        Error: what is wrong with it, and the nearest right key.
    """
    try:
        return SweepPlan.model_validate(tree)
    except ValidationError as error:
        raise Error(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    place = ".".join(loc)
    if first["type"] == "extra_forbidden":
        known: Iterable[str] = SweepPlan.model_fields
        for part in loc[:-1]:
            known = _model(SweepPlan.model_fields[part].annotation).model_fields
        hint = nearest(loc[-1], known) or f" Known: {', '.join(known)}."
        return f"unknown plan key {place}.{hint}"
    if loc[0] == "grid":
        return (
            f"grid axis {loc[1] if len(loc) > 1 else ''!r} of the plan must be a list of values, or named sets of keys."
        )
    return f"plan key {place} is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}."


def _model(annotation: Any) -> type[BaseModel]:
    """Return the section in ``Section`` or ``Section | None``."""
    found = annotation if isinstance(annotation, type) else annotation.__args__[0]
    assert issubclass(found, BaseModel)
    return found
