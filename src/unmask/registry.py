"""Registries: a new process, network or sampler is one file and one registry line.

A line says where a part is (``"module:attribute"``), and the part is imported when it is first asked for. So its name
is known, and what a recipe may say of it (its *facts*), without importing torch. ``@REGISTRY.add("name")`` above a
class registers a part that is already imported, such as one of yours.

The shared contract tests run over every entry of every registry.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from unmask.errors import UnknownPart, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from a name in a recipe to the part that it names.

    Args:
        kind: What the entries are ("process", "sampler"), used in error messages.
        facts: Returns the facts of a part that was registered without any; default: the part tells them itself.
    """

    def __init__(self, kind: str, facts: Callable[[T], Any] = lambda part: part) -> None:
        self.kind = kind
        self._parts: dict[str, T | str] = {}
        self._facts: dict[str, Any] = {}
        self._facts_of = facts

    def add(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers its argument under ``name``."""

        def register(part: T) -> T:
            self._enter(name, part)
            return part

        return register

    def at(self, name: str, place: str, facts: Any = None) -> None:
        """Register a part by where it is.

        Args:
            name: Its name in recipes.
            place: ``"module:attribute"``.
            facts: What is known of it without its module: an object, or the ``"module:attribute"`` of one in a module
                that imports neither torch nor transformers; ``None``: as the registry's other parts.
        """
        self._enter(name, place)
        if facts is not None:
            self._facts[name] = facts

    def _enter(self, name: str, part: T | str) -> None:
        if name in self._parts:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._parts[name] = part

    def get(self, name: str) -> T:
        """Return the part called ``name``.

        Raises:
            UnknownPart: no such part; the message lists the names and the nearest one.
        """
        self.check(name)
        part: T = imported(self._parts[name])
        self._parts[name] = part
        return part

    def facts(self, name: str) -> Any:
        """Return what is known of the part called ``name`` without importing it, where its line says so.

        Raises:
            UnknownPart: no such part.
        """
        self.check(name)
        if name not in self._facts:
            return self._facts_of(self.get(name))
        self._facts[name] = imported(self._facts[name])
        return self._facts[name]

    def check(self, name: str) -> None:
        """Raise UnknownPart if there is no part called ``name``; nothing is imported."""
        if name not in self._parts:
            raise UnknownPart(
                f"unknown {self.kind} {name!r}.{nearest(name, self._parts)} "
                f"Available: {', '.join(sorted(self._parts))}.",
                self.kind,
                name,
            )

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._parts))


def imported(place: Any) -> Any:
    """Return what stands at ``"module:attribute"``; anything but text is what it is."""
    if not isinstance(place, str):
        return place
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
