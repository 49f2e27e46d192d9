"""What a verb gives back: frozen fields, one readable line, plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any

from unmask.lines import line


@dataclass(frozen=True, repr=False)
class Result:
    """The base of all results; each is a frozen dataclass with ``repr=False`` that says what its line tells."""

    def _facts(self) -> tuple[str, ...]:
        """Return what the line says, most important first; empty facts are left out."""
        return ()

    def __repr__(self) -> str:
        return line(type(self).__name__, *self._facts())

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {part.name: plain(getattr(self, part.name)) for part in fields(self)}


def plain(value: Any) -> Any:
    """Return a value as JSON has it: paths as text, dataclasses by field; arrays, for computing on, are left out."""
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        parts = {part.name: getattr(value, part.name) for part in fields(value)}
        return {name: plain(part) for name, part in parts.items() if not getattr(part, "ndim", 0)}
    return str(value) if isinstance(value, PurePath) else value
