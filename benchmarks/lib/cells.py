"""What a page shows of a result: its tables, and the few kinds of cells that they have.

A study's ``page.py`` names its tables, ``python -m benchmarks.docs.tables`` writes them into the pages of ``docs``.
Nothing here computes: a cell is a stored number, or the mean of some, in a form to be read.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from benchmarks.lib.told import number

Rows = list[dict[str, str]]
"""Equal rows: head of a column -> cell."""
Key = TypeVar("Key")


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        file: Name of the result in ``benchmarks/results``.
        rows: Makes the rows of what is stored in the file, and in those of ``more``.
        more: Further files, for rows that were measured apart.
        part: Keys that lead to what the table is of, in a file with several measurements.
        said: ``command``, ``hardware``, ``date`` or ``repeats``, where the file does not say it or says it of all rows.
    """

    file: str
    rows: Callable[..., Rows]
    more: tuple[str, ...] = ()
    part: tuple[str, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict)


def grid(head: str, rows: Mapping[str, Key], columns: Mapping[str, Callable[[Key], str]]) -> Rows:
    """Return a table with a row for each label and a cell for each column.

    Args:
        head: Of the column of labels.
        rows: Label -> what the columns find the row by.
        columns: Head -> a function that makes the cell.
    """
    return [{head: label} | {name: cell(key) for name, cell in columns.items()} for label, key in rows.items()]


def seeds_of(rows: Mapping[str, Any], row: str, steps: int | None = None) -> list[dict[str, Any]]:
    """Return what is stored of a row, a seed an entry: its keys are ``row | seed N``, some with ``| S steps``."""
    end = "" if steps is None else f"| {steps} steps"
    return [v for k, v in rows.items() if k.startswith(f"{row} | seed ") and k.endswith(end)]


def one(rows: Iterable[Mapping[str, Any]], **wanted: Any) -> dict[str, Any]:
    """Return the row of a list that has these values.

    Raises:
        LookupError: There is none, or more than one.
    """
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    if len(found) != 1:
        raise LookupError(f"{len(found)} rows have {wanted}")
    return dict(found[0])


def spread(values: Sequence[float], digits: int = 3, none: str = "-") -> str:
    """Return mean and standard deviation; of one number the number."""
    if not values:
        return none
    deviation = f" +- {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def bits(entries: Sequence[Mapping[str, Any]], key: str = "bits_per_byte", digits: int = 3, none: str = "") -> str:
    """Return bits per byte over seeds, with ``<=`` where they are an upper bound."""
    values = [entry[key] for entry in entries if entry.get(key) is not None]
    bound = "<= " if values and entries[0].get("bound") == "upper bound" and key == "bits_per_byte" else ""
    return bound + spread(values, digits, none)


def span(ends: Sequence[float], form: str = ".3f", word: str = " to ") -> str:
    """Return the ends of an interval or of quartiles."""
    return word.join(f"{end:{form}}" for end in (min(ends), max(ends)))


def measured(found: Mapping[str, Any], form: str, unit: str = "", apart: float = 0.0) -> str:
    """Return a median, with its quartiles where they lie further apart than this share of it."""
    low, high = found["quartiles"]
    around = f" ({span((low, high), form)})" if high - low > apart * abs(found["median"]) else ""
    return f"{found['median']:{form}}{unit}{around}"


def percent(value: float | None, digits: int = 0) -> str:
    """Return a share in percent."""
    return "" if value is None else f"{100 * value:.{digits}f} %"


def short(value: float, digits: int = 3) -> str:
    """Return a share without its leading zero, as tables with many of them have it."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def as_stored(rows: Sequence[Mapping[str, Any]], heads: Mapping[str, str] | None = None) -> Rows:
    """Return rows that are stored as a table, with three or four figures a number.

    Args:
        rows: Equal rows.
        heads: Column -> its head, for the columns that are shown; default: all as they are.
    """
    heads = heads or {name: name for name in rows[0]}
    return [{head: cell(row.get(name)) for name, head in heads.items()} for row in rows]


def cell(value: Any) -> str:
    """Return a stored value to be read: numbers with three or four figures, nothing as a dash."""
    return "-" if value is None else number(value) if isinstance(value, float) else str(value)
