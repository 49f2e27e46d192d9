"""Registries: a new process, network or sampler is one file and one ``@REGISTRY.add("name")`` line.

The shared contract tests run over every entry of every registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from unmask.errors import UnknownPart, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from a name in a recipe to the part that it names.

    Args:
        kind: What the entries are ("process", "sampler"), used in error messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}

    def add(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers its argument under ``name``."""

        def register(part: T) -> T:
            if name in self._parts:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._parts[name] = part
            return part

        return register

    def get(self, name: str) -> T:
        """Return the part called ``name``.

        Raises:
            UnknownPart: no such part; the message lists the names and the nearest one.
        """
        if name not in self._parts:
            raise UnknownPart(
                f"unknown {self.kind} {name!r}.{nearest(name, self._parts)} "
                f"Available: {', '.join(sorted(self._parts))}.",
                self.kind,
                name,
            )
        return self._parts[name]

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._parts))
