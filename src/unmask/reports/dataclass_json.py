"""Dataclasses as JSON and back, as their annotations say: floats to the bit, arrays as lists, nothing executed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np


def plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def rebuilt(kind: Any, data: Any) -> Any:
    """Return the value of a type that :func:`plain` was given.

    Args:
        kind: A dataclass, or a list, tuple, dict, array or option of what this function knows.
        data: What JSON held.

    Raises:
        TypeError: the data does not fit, or the type is none of these.
        KeyError: a field is missing.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if data is None and NoneType in parts:
            return None
        rest = [part for part in parts if part is not NoneType]
        if len(rest) != 1:
            raise TypeError(f"{kind} may be several things")
        return rebuilt(rest[0], data)
    if origin is np.ndarray:
        return np.asarray(data, dtype=get_args(parts[1])[0])
    if origin is list:
        return [rebuilt(parts[0], item) for item in data]
    if origin is dict:
        return {key: rebuilt(parts[1], item) for key, item in data.items()}
    if origin is tuple:
        kinds = [parts[0]] * len(data) if parts[-1] is ... else parts
        return tuple(rebuilt(each, item) for each, item in zip(kinds, data, strict=True))
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{part.name: rebuilt(hints[part.name], data[part.name]) for part in fields(kind)})
    if kind is float and isinstance(data, int | float) or isinstance(kind, type) and isinstance(data, kind):
        return data
    raise TypeError(f"{data!r} is no {kind}")
