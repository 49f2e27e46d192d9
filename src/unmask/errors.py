"""The errors a user can cause: one line that says what is wrong and what to do, and which name was meant."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

LEAST_PREFIX = 3
"""Letters from which the beginning of a name stands for the name."""


class Error(Exception):
    """A mistake the user can mend. The message says what is wrong and how to fix it.

    The command line prints it as one line and exits with status 2, without a traceback.
    """


class UnknownPart(Error):
    """A recipe names a part that no registry has: misspelt, or not built yet.

    Attributes:
        kind: What it would be ("process", "backbone", "sampler").
        name: How it was called.
    """

    def __init__(self, message: str, kind: str, name: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name


class Renamed(DeprecationWarning):
    """A name was used that has a new one; the command line says so in one line."""


def warn_renamed(old: str, new: str) -> None:
    """Warn that ``old`` is called ``new`` now, and still read."""
    warnings.warn(f"{old} is now called {new}; the old name will go. Use the new one.", Renamed, stacklevel=2)


def closest(wrong: str, right: Iterable[str]) -> str | None:
    """Return the one of ``right`` that ``wrong`` is a slip of, or ``None`` if it is like none of them.

    A slip is one letter left out, added, exchanged, or swapped with its neighbour; a name may have one for every three
    letters. A name's beginning stands for it where no other begins so. Case, and ``-`` for ``_``, are no slips.
    """
    given = _plain(wrong)
    names = {name: _plain(name) for name in dict.fromkeys(right)}
    slips = {
        name: count
        for name, plain in names.items()
        if (count := _slips(given, plain, _allowed(given, plain))) is not None
    }
    if slips:
        return min(slips, key=lambda name: (slips[name], -_shared(given, names[name]), name))
    begun = [name for name, plain in names.items() if len(given) >= LEAST_PREFIX and plain.startswith(given)]
    return begun[0] if len(begun) == 1 else None


def check_seed(seed: int) -> None:
    """Refuse a seed that some generator would not take.

    Raises:
        Error: it is negative, or has more than 63 bits.
    """
    if wrong := wrong_count("seed", seed, 0):
        raise Error(wrong)


def wrong_count(name: str, value: int, least: int, meaning: str = "") -> str | None:
    """Return what is wrong with a whole number, or ``None``: it is below ``least``, or has more than 63 bits.

    Args:
        name: What it is called.
        value: The number.
        least: The least that works.
        meaning: What the least one does, if that is not plain.
    """
    if value < least:
        most = f"{least} ({meaning}) or more" if meaning else "0 or more" if least == 0 else f"at least {least}"
        return f"{name} is {value}; it must be {most}."
    return f"{name} is {value}; it must fit into 64 bits." if value >= 2**63 else None


MOST_TEXTS = 100_000
"""Texts that one call writes: all of them are held in memory until the last is done."""


def check_texts(count: int, name: str = "n", least: int = 1) -> None:
    """Refuse a number of texts to write that is too small, or more than memory is for.

    Raises:
        Error: which one, and how to mend it.
    """
    if count < least:
        raise Error(f"{name} is {count}; ask for at least {least} text{'s' * (least > 1)}.")
    if count > MOST_TEXTS:
        raise Error(f"{name} is {count}, and one call writes {MOST_TEXTS} texts at most; ask again with another seed.")


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the one of ``right`` that was meant, or an empty string."""
    meant = closest(wrong, right)
    return "" if meant is None else f" Did you mean {meant!r}?"


def _plain(name: str) -> str:
    return name.lstrip("-").lower().replace("-", "_")


def _allowed(one: str, other: str) -> int:
    longer = max(len(one), len(other))
    return min(max(1, longer // 3), longer - 1)  # one letter for another alone is no slip


def _shared(one: str, other: str) -> int:
    """Return how many letters two names begin with in common."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _slips(one: str, other: str, most: int) -> int | None:
    """Return the slips between two names (optimal string alignment, Boytsov 2011); ``None``: more than ``most``."""
    if abs(len(one) - len(other)) > most:
        return None
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1] if row[-1] <= most else None
