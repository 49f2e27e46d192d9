"""The value of ``-o section.key=value``: a text for a key that takes text, else YAML.

So ``data.source=stories #2`` is a file's name and not one with a comment, and ``name=2024-01-01`` is no date. A text
in quotes is what stands between them; ``null`` is no text where a key may have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from unmask.data.yaml_text import load_yaml
from unmask.errors import Error
from unmask.training.options import part_keys
from unmask.training.sections import ALIASES

_NAMED = ("process", "backbone", "sampler", "qcontroller", "evidence")
"""Sections that may be a name, or a folder, alone."""


def read_value(key: str, text: str) -> Any:
    """Return the value that a key is given as ``text``.

    Raises:
        Error: a value for another kind of key that is not YAML.
    """
    kinds = list(_kinds(key))
    quoted = _is_quoted(text)
    if is_text(key) and not quoted:
        empty = text in ("null", "~", "") and all(NoneType in get_args(kind) for kind in kinds)
        return None if empty else text
    try:
        value = load_yaml(text)
    except yaml.YAMLError as error:
        if key in _NAMED:
            return text
        raise Error(f"override {key + '=' + text!r} has a value that is not YAML.") from error
    if key in _NAMED and not quoted:
        return value if isinstance(value, dict | NoneType) else text
    if isinstance(value, str) and not quoted and _is_number(value):
        return float(value)  # YAML 1.1 reads 1e-3 as text
    return value


def is_text(key: str) -> bool:
    """Tell whether a key of a recipe takes text and nothing else, in every part that knows it."""
    kinds = list(_kinds(key))
    return bool(kinds) and all(_takes_text(kind) for kind in kinds)


def _is_quoted(text: str) -> bool:
    """Tell whether a text is one in quotes, and no more."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return False
    try:
        return isinstance(load_yaml(text), str)
    except yaml.YAMLError:
        return False


def _kinds(key: str) -> Iterator[Any]:
    """Return the types that a key has in the parts that know it."""
    section, _, name = key.partition(".")
    name = ALIASES.get(section, {}).get(name, name)
    if not name:
        yield from {"name": (str,), "about": (str,)}.get(section, ())
        return
    yield from (keys[name] for keys in part_keys().get(section, {}).values() if name in keys)


def _takes_text(kind: Any) -> bool:
    """Tell whether values of a type are text, or none."""
    if get_origin(kind) in (Union, UnionType):
        return all(option is NoneType or _takes_text(option) for option in get_args(kind))
    if get_origin(kind) is Literal:
        return all(isinstance(choice, str) for choice in get_args(kind))
    return kind is str


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
