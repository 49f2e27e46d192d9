"""What is said in one line: numbers with their nouns, excerpts, scores, and what a result prints as."""

from __future__ import annotations

MOST = 160
"""Characters of a line."""


def line(name: str, *facts: str) -> str:
    """Return ``<Name: fact, fact, ...>`` in one line of at most ``MOST`` characters."""
    return f"<{excerpt(f'{name}: ' + ', '.join(fact for fact in facts if fact), MOST - 2)}>"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number and its noun.

    Args:
        number: How many.
        one: The noun for one.
        many: The noun for any other number; default: with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def excerpt(text: str, most: int = 48) -> str:
    """Return the beginning of a text, with its line ends as spaces."""
    whole = " ".join(text[: 4 * most].split())
    return whole if len(whole) <= most else f"{whole[: most - 3]}..."


def scored(bits: float, bound: str, *more: str, unit: str = "bits per byte") -> str:
    """Return a score with its kind: "at most 0.9876 bits per byte (upper bound, 10 documents)"."""
    sign = "at most " if bound == "upper bound" else ""
    return f"{sign}{bits:.4f} {unit} ({', '.join(part for part in (bound, *more) if part)})"
