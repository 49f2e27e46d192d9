"""Where the holes of a sentence are and how long they may be, as a user writes it; read without torch."""

from __future__ import annotations

import re

from unmask.errors import Error


def parse_holes(text: str, marker: str | None = None) -> list[str]:
    """Return the pieces of text around the holes.

    Args:
        text: Holes are runs of two or more underscores.
        marker: Another sign for a hole, exactly as it stands; underscores are then text.

    Raises:
        Error: no hole, or an empty marker.
    """
    if marker == "":
        raise Error("the hole marker is empty; give some text, such as --hole '[]'.")
    pieces = re.split(r"_{2,}", text) if marker is None else text.split(marker)
    if len(pieces) < 2:
        sign = "two or more underscores" if marker is None else repr(marker)
        raise Error(f"the text has no hole; write {sign} where a word is missing.")
    return pieces


def parse_length(length: int | str) -> tuple[int, int]:
    """Return the shortest and longest hole of ``4`` or ``"2-6"``.

    Raises:
        Error: neither a number nor a range, or an empty one.
    """
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", str(length))
    if not match:
        raise Error(f"hole length {length!r} is neither a number of tokens nor a range such as 2-6.")
    low, high = int(match[1]), int(match[2] or match[1])
    if not 1 <= low <= high:
        raise Error(f"hole length {length!r} must start at 1 or more and not end before it starts.")
    return low, high
