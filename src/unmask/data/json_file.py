"""JSON files that somebody else may have written: of a bounded size, and what is wrong with one is said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unmask.errors import Error

MOST = 64 << 20
"""Bytes of a file at most; ours have a few thousand."""


def read_text(path: Path, again: str, most: int = MOST) -> str:
    """Return what a small text file holds.

    Args:
        path: The file.
        again: What to do when it is damaged, for the message.
        most: Bytes at most.

    Raises:
        Error: no such file, not UTF-8, or too large.
    """
    try:
        if not path.is_file():
            raise OSError("it is no file" if path.exists() else "it is missing")
        if (size := path.stat().st_size) > most:
            raise OSError(f"it has {size:,} bytes, and at most {most:,} are read")
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error, again) from error


def parse_object(text: str, path: Path, again: str) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Raises:
        Error: it is not JSON, nested too deep, or no object.
    """
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"it holds {named(found)}, not an object")
    except RecursionError as error:
        raise _unreadable(path, "it is nested too deep", again) from error
    except ValueError as error:
        raise _unreadable(path, error, again) from error
    return found


def read_object(path: Path, again: str, most: int = MOST) -> dict[str, Any]:
    """Return the object that a JSON file holds; see :func:`read_text` and :func:`parse_object`."""
    return parse_object(read_text(path, again, most), path, again)


def named(value: Any) -> str:
    """Say what a JSON value is: "a list", "text"."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _unreadable(path: Path, why: object, again: str) -> Error:
    why = " ".join(str(getattr(why, "strerror", None) or why).split())[:200]
    return Error(f"{path} cannot be read ({why}); {again.rstrip('.')}.")
