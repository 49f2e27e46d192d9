"""The arguments of the public functions, looked at before any work is done.

:func:`checked` wraps a function so that a wrong type, an unknown name or a missing argument is one line that names it.
What the annotations say is what is asked. Three things are taken besides: one thing where several are meant (a list of
it), a number of NumPy or a tensor of one number for a number, and a path as text or the other way round.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, Union

from unmask.errors import Error, nearest

Function = TypeVar("Function", bound=Callable[..., Any])


class _Unknown(dict[str, Any]):
    """Names that a module imports for type checkers alone: what they stand for is neither asked nor imported."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known

    def __missing__(self, name: str) -> Any:
        if name in self._known or hasattr(builtins, name):
            raise KeyError(name)
        return Any


class _Unfit(Exception):
    """A value is not of a kind."""


def checked(function: Function) -> Function:
    """Return ``function`` with its arguments checked against their annotations; its signature and words stay.

    The annotations are read at the first call, in the module of the function; what that imports for type checkers alone
    may be anything.

    Raises (when called):
        Error: an argument of a wrong type, one that there is not (the nearest is named), too many, or too few.
    """
    name = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        places, kinds = _face(function)
        known = [key for key in kinds if key not in ("self", "cls")]
        if len(args) > len(places):
            raise Error(_too_many(name, places, kinds))
        given = dict(zip(places, args, strict=False))
        for key in named:
            if key not in kinds:
                hint = nearest(key, known) or f" It has: {', '.join(known) or 'none'}."
                raise Error(f"{name}() has no argument {key!r}.{hint}")
            if key in given:
                raise Error(f"{name}() is given {key} twice: without its name and with it.{_as_list(places, kinds)}")
        fits = {key: _checked(name, key, value, kinds[key]) for key, value in {**given, **named}.items()}
        for key, parameter in inspect.signature(function).parameters.items():
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD and key not in fits:
                raise Error(f"{name}() needs {key} ({_words(kinds[key])}): {name}({', '.join(_needed(function))}).")
        ahead = [fits.pop(key) for key in places[: len(args)]]
        return function(*ahead, **fits)

    return typing.cast(Function, call)


def _face(function: Callable[..., Any]) -> tuple[list[str], dict[str, Any]]:
    """Return the arguments that need no name, and the kind of every argument.

    Those of ``**settings`` are what the function in ``Annotated[Any, function]`` returns: name -> kind.
    """
    hints = {key: value for key, value in function.__annotations__.items() if key != "return"}
    space = inspect.unwrap(function).__globals__
    resolved = typing.get_type_hints(SimpleNamespace(__annotations__=hints), space, _Unknown(space), True)
    places, kinds = [], {}
    for key, parameter in inspect.signature(function).parameters.items():
        kind = resolved.get(key, Any)
        if parameter.kind is parameter.VAR_KEYWORD:
            kinds |= typing.get_args(kind)[1]()
            continue
        kinds[key] = kind
        if parameter.kind is not parameter.KEYWORD_ONLY:
            places.append(key)
    return places, kinds


def _needed(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.name not in ("self", "cls")]


def _too_many(name: str, places: list[str], kinds: Mapping[str, Any]) -> str:
    named = [key for key in places if key not in ("self", "cls")]
    takes = f"only {', '.join(named)} without a name" if named else "none without a name"
    return f"{name}() is given too many arguments: it takes {takes}.{_as_list(places, kinds)}"


def _as_list(places: list[str], kinds: Mapping[str, Any]) -> str:
    """Say that the first argument takes several, where it does."""
    return f" Give several {places[0]} as one list." if places and _items(kinds[places[0]]) is not None else ""


def _checked(name: str, key: str, value: Any, kind: Any) -> Any:
    for attempt in (_fit, _fit_one):
        try:
            fits = attempt(value, kind)
        except _Unfit:
            continue
        for place in _places(fits, kind):
            if "\0" in place or any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in place.split("/")):
                raise Error(f"{name}() argument {key} is {_short(place)}; no file can have that name.")
        return fits
    if isinstance(value, str) and (choices := _choices(kind)):
        raise Error(f"unknown {key} {value!r}.{nearest(value, choices)} Choose from {', '.join(choices)}.")
    several = isinstance(value, list | tuple) and _items(kind) is None
    more = " It takes one; call it once for each." if several and any(_fits(one, kind) for one in value) else ""
    raise Error(
        f"{name}() argument {key} is {_short(value)} ({type(value).__name__}); it must be {_words(kind)}.{more}"
    )


def _places(value: Any, kind: Any) -> list[str]:
    """Return the paths that a value names, where its kind may be one."""
    item = _items(kind)
    if item is not None and isinstance(value, list):
        return [place for one in value for place in _places(one, item)]
    return [str(value)] if Path in (kind, *typing.get_args(kind)) and isinstance(value, str | Path) else []


def _fit(value: Any, kind: Any) -> Any:
    """Return ``value`` as the kind has it.

    Raises:
        _Unfit: it is not of that kind.
        TypeError: a kind that is not known here; a public function has an annotation of a new sort.
    """
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        arms = typing.get_args(kind)
        exact = [arm for arm in arms if isinstance(arm, type) and type(value) is arm]
        for arm in [*exact, *arms]:
            if _fits(value, arm):
                return _fit(value, arm)
        raise _Unfit
    if origin is Literal:
        if any(value == one and type(value) is type(one) for one in typing.get_args(kind)):
            return value
        raise _Unfit
    if (item := _items(kind)) is not None:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) < 1:
            raise _Unfit
        return [_fit(one, item) for one in value]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        keys, values = typing.get_args(kind)
        if not isinstance(value, Mapping):
            raise _Unfit
        return {_fit(key, keys): _fit(one, values) for key, one in value.items()}
    if origin is Callable:
        kind = Callable
    return _plain(value, kind)


def _plain(value: Any, kind: Any) -> Any:
    if kind in (bool, int, float):
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
            value = value.item()  # of NumPy or a tensor
        taken: dict[Any, Any] = {bool: bool, int: Integral, float: Real}
        if isinstance(value, taken[kind]) and (kind is bool or not isinstance(value, bool)):
            return value if isinstance(value, int | float) else kind(value)
        raise _Unfit
    if kind is Path and isinstance(value, str | os.PathLike):
        return Path(value)
    if kind is None or isinstance(kind, type) or kind is Callable:
        wanted = type(None) if kind is None else kind
        if getattr(wanted, "_is_protocol", False):  # told by its methods, for few protocols allow isinstance
            methods = [key for key, one in vars(wanted).items() if callable(one) and not key.startswith("_")]
            if methods and all(callable(getattr(value, key, None)) for key in methods):
                return value
        elif isinstance(value, wanted):
            return value
        raise _Unfit
    raise TypeError(f"unmask.arguments cannot check the annotation {kind}")


def _fit_one(value: Any, kind: Any) -> Any:
    """Return a list of one thing, where several are meant and one is given."""
    item = _items(kind)
    if item is None or value is None:
        raise _Unfit
    return [_fit(value, item)]


def _fits(value: Any, kind: Any) -> bool:
    try:
        _fit(value, kind)
    except _Unfit:
        return False
    return True


def _items(kind: Any) -> Any:
    """Return what a kind holds several of; ``None`` where it is one thing."""
    arms = [kind] if typing.get_origin(kind) not in (Union, types.UnionType) else typing.get_args(kind)
    for arm in arms:
        origin = typing.get_origin(arm)
        if isinstance(origin, type) and not issubclass(origin, Mapping) and issubclass(origin, Iterable):
            return typing.get_args(arm)[0]
    return None


def _choices(kind: Any) -> list[str]:
    arms = typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else [kind]
    return [one for arm in arms if typing.get_origin(arm) is Literal for one in typing.get_args(arm)]


def _words(kind: Any) -> str:
    """Say a kind: "int or None", "a list of int"."""
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        *most, last = [_words(arm) for arm in typing.get_args(kind)]
        return f"{', '.join(most)} or {last}"
    if origin is Literal:
        return " or ".join(repr(one) for one in typing.get_args(kind))
    if (item := _items(kind)) is not None:
        return f"a list of {_words(item)}"
    if origin is Callable or kind is Callable:
        return "a function"
    if kind in (None, type(None)):
        return "None"
    return (
        "a mapping"
        if isinstance(origin, type) and issubclass(origin, Mapping)
        else getattr(kind, "__name__", str(kind))
    )


def _short(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, Sequence) and len(shape):
        return f"of shape {tuple(shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
