"""What the verbs print with: notes for people on stderr, one JSON object for programs on stdout."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

console = Console(stderr=True, highlight=False)
"""The terminal people watch. Progress and notes go here, so that stdout holds results only."""


def note(text: str) -> None:
    """Print one line for the reader on stderr, unwrapped and with square brackets taken literally."""
    console.print(text, markup=False, emoji=False, soft_wrap=True)


def print_json(obj: Mapping[str, Any]) -> None:
    """Print ``obj`` as one JSON object on stdout.

    Paths become strings. JSON has no infinity and no NaN; they become ``null``.

    Raises:
        TypeError: a value is neither plain data nor a path.
    """
    print(json.dumps(_plain(obj), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
