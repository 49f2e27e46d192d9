"""What a key is, told by the code that reads it: its kind, default, range and meaning, as a row of a table.

A pydantic field tells its meaning by ``description`` or by the string below it; a network's key by its line under
``Args:`` of the class.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

HUGE = 2**24
"""A limit from here on is there to catch slips, and tells a reader nothing."""

HEAD = "| key | kind | default | range | meaning |\n|---|---|---|---|---|\n"


def table(rows: Iterable[tuple[str, str, str, str, str]]) -> str:
    """Return a table of keys in Markdown."""
    return HEAD + "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def of_model(model: type[BaseModel], leave: Iterable[str] = ()) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each field of a pydantic model, but those that are left out."""
    said = _strings(model)
    return [_row(key, field, said) for key, field in model.model_fields.items() if key not in set(leave)]


def _row(key: str, field: FieldInfo, said: Mapping[str, str]) -> tuple[str, str, str, str, str]:
    default = "*required*" if field.is_required() else code(field.get_default(call_default_factory=True))
    meaning = field.description or said.get(key, "")
    return f"`{key}`", kind(field.annotation), default, limits(field.metadata, field.annotation), plain(meaning)


def of_network(options: type, leave: Iterable[str] = ()) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each key that a class of network options names itself."""
    made = vars(options).get("__init__")
    keys = inspect.signature(made).parameters if made else {}
    said = _arguments(options)
    out = {"self", "kwargs", *leave}
    hints = inspect.get_annotations(made, eval_str=True) if made else {}
    return [
        (f"`{key}`", kind(hints[key]), code(parameter.default), "", plain(said.get(key, "")))
        for key, parameter in keys.items()
        if key not in out
    ]


def kind(annotation: Any) -> str:
    """Return what a value has to be, as a reader of YAML says it: ``number or null``."""
    origin = get_origin(annotation)
    if annotation in (None, type(None)):
        return "null"
    if origin is Annotated:
        return kind(get_args(annotation)[0])
    if origin is Literal:
        return ", ".join(code(value) for value in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(one) for one in get_args(annotation)))
    if origin in (list, tuple):
        inner = [one for one in get_args(annotation) if one is not Ellipsis]
        return f"list of {kind(inner[0])}" if inner else "list"
    if origin is dict or annotation is dict:
        return "keys and values"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}.get(annotation, "any")


def limits(metadata: Iterable[Any], annotation: Any = None) -> str:
    """Return the range of a value: ``> 0, < 1``."""
    found = [*metadata]
    for one in (annotation, *get_args(annotation)):
        if get_origin(one) is Annotated:
            found += [part for part in get_args(one)[1:] if not isinstance(part, FieldInfo)]
            found += [rule for part in get_args(one)[1:] if isinstance(part, FieldInfo) for rule in part.metadata]
    signs = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    told = []
    for rule in found:
        if type(rule) in signs:
            sign, name = signs[type(rule)]
            bound = getattr(rule, name)
            if abs(bound) < HUGE:
                told.append(f"{sign} {bound:g}")
        elif isinstance(rule, MinLen):
            told.append("not empty")
    return ", ".join(dict.fromkeys(told))


def code(value: Any) -> str:
    """Return a value as YAML writes it, in code."""
    if value is PydanticUndefined or value is inspect.Parameter.empty:
        return "*required*"
    if isinstance(value, BaseModel):
        return "its own defaults"
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else f"{value:g}" if _short(value) else str(value)
    return f"`{text}`" if text else "empty"


def _short(value: Any) -> bool:
    return isinstance(value, float) and float(f"{value:g}") == value


def plain(text: str) -> str:
    """Return a docstring's words as Markdown in one line."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", " ".join(text.split()))
    parts = re.split(r"(``?[^`]+``?)", text)
    return "".join(re.sub(r"``([^`]+)``", r"`\1`", part) if part[:1] == "`" else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    """Return words with what Markdown would take for a link, a tag or emphasis as it stands."""
    return re.sub(r"([\[\]<>*_])", r"\\\1", text)


@cache
def _strings(model: type[BaseModel]) -> dict[str, str]:
    """Return what the strings below a class's fields, and those of its bases, say of them."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        (made,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(made, ast.ClassDef)
        for line, after in zip(made.body, made.body[1:], strict=False):
            named = isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[line.target.id] = str(after.value.value)
    return found


def _arguments(made: type) -> dict[str, str]:
    """Return what a Google docstring says under ``Args``."""
    text = inspect.getdoc(made) or ""
    part = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    lines = re.split(r"^    (?=[\w*]+: )", part[1] if part else "", flags=re.MULTILINE)
    return {name: rest for name, _, rest in (line.partition(": ") for line in lines if line.strip())}
