"""What the verbs print with: notes for people on stderr, one JSON object for programs on stdout."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from unmask.data.visible import visible
from unmask.progress_line import console as console

_ACTS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What acts on a terminal, or is no text (a file's name that is not UTF-8), and yet stands in JSON as it is."""


def note(text: str) -> None:
    """Print one line for the reader on stderr, unwrapped and with square brackets taken literally.

    Of processes that train together (``torchrun``) the first one prints.
    """
    if _leads():
        console.print(visible(text), markup=False, emoji=False, soft_wrap=True)


def say(text: object) -> None:
    """Print a line of results on stdout; in a terminal its control characters are shown and do not act.

    What is no text, of a file's name that is not UTF-8, is written as its escape anywhere.
    """
    if _leads():
        shown = visible(str(text)) if sys.stdout.isatty() else str(text)
        print(shown.encode("utf-8", "backslashreplace").decode())


def printer(width: int | None = None) -> Console:
    """Return what prints tables on stdout; square brackets in them stand for themselves.

    Args:
        width: Columns where no terminal says how many there are.
    """
    return Console(width=None if console.is_terminal else width, markup=False, emoji=False, highlight=False)


def print_json(obj: Mapping[str, Any]) -> None:
    """Print ``obj`` as one JSON object on stdout; of processes that train together the first one does.

    Paths become strings. JSON has no infinity and no NaN; they become ``null``.

    Raises:
        TypeError: a value is neither plain data nor a path.
    """
    if _leads():
        narrow = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
        text = json.dumps(_plain(obj), indent=2, ensure_ascii=narrow, allow_nan=False)
        print(_ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _leads() -> bool:
    return os.environ.get("RANK", "0") == "0"


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
