"""Which fields of ``transformers.TrainingArguments`` there are, read off its source: the import takes seconds.

A field's type is what its annotation says; the Trainer's own enumerations are text in a recipe.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from unmask.training.trainer_choices import REFUSED

ELSEWHERE = {
    "output_dir": "--output",
    "resume_from_checkpoint": "--resume",
    "do_train": "the command (train, evaluate)",
    "do_eval": "the command (train, evaluate)",
    "bf16": "training.precision",
    "fp16": "training.precision",
    "seed": "the recipe's own key seed",
    "data_seed": "the recipe's own key seed",
}
"""Fields of TrainingArguments that other keys of a recipe, or the command line, decide."""


class _Names(dict[str, Any]):
    """What annotations may say; any other name is an enumeration's, and in a recipe text."""

    def __missing__(self, name: str) -> Any:
        return str


_KNOWN = {"Any": Any, "Literal": Literal, "bool": bool, "int": int, "float": float, "dict": dict, "list": list}


@cache
def trainer_kinds() -> dict[str, Any]:
    """Return the fields of the Trainer's arguments that a recipe may name, with their types; Any for a refused one.

    A run that was trained when they were passed on still opens; what is given anew is checked by
    :func:`unmask.training.trainer_check.check_trainer`.
    """
    return {
        name: Any
        if name in REFUSED
        else eval(compile(ast.Expression(kind), "<annotation>", "eval"), {}, _Names(_KNOWN))  # of an installed package
        for name, kind in _fields()
        if name not in ELSEWHERE
    }


def _fields() -> Iterator[tuple[str, ast.expr]]:
    """Return the names and annotations of the fields that ``TrainingArguments(...)`` takes."""
    found = importlib.util.find_spec("transformers")
    assert found is not None and found.submodule_search_locations is not None  # it is a dependency
    source = (Path(found.submodule_search_locations[0]) / "training_args.py").read_text(encoding="utf-8")
    (made,) = (
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments"
    )
    for line in made.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and not _hidden(line):
            yield line.target.id, line.annotation


def _hidden(line: ast.AnnAssign) -> bool:
    """Tell whether a field is none of the constructor's."""
    if ast.unparse(line.annotation).startswith("ClassVar"):
        return True
    options = line.value.keywords if isinstance(line.value, ast.Call) else []
    return any(o.arg == "init" and isinstance(o.value, ast.Constant) and o.value.value is False for o in options)
