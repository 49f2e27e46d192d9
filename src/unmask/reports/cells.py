"""Tables as text cells: what a cell looks like, and the renderings for the terminal and for markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable
from rich.text import Text

from unmask.data.visible import visible
from unmask.evaluation.latency import Latency
from unmask.reports.rows import TextRow

LOADED = " †"
"""Behind a time that other programs took part in."""
UNDER_LOAD = (
    "† was timed under load (other programs took the processor meanwhile): it is not ranked and decides nothing. "
)


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: What it shows.
        columns: Headings.
        rows: Cells, as many a row as there are columns.
        controls: Numbers of the rows that are controls.
        note: How to read it.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    controls: frozenset[int]
    note: str


def to_markdown(table: Table) -> str:
    """Render a table as GitHub markdown."""
    lines = [f"### {table.title}", "", line(table.columns), line(["---"] * len(table.columns))]
    lines += [line(row) for row in table.rows]
    return "\n".join([*lines, "", table.note, ""])


def to_rich(table: Table) -> RichTable:
    """Render a table for the terminal; controls are dim, and names from elsewhere cannot act on it."""
    title, note = plain(table.title, "table.title"), plain(table.note, "table.caption")
    shown = RichTable(title=title, caption=note, title_justify="left", caption_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(plain(column), justify="left" if place == 0 else "right")
    for number, row in enumerate(table.rows):
        shown.add_row(*map(plain, row), style="dim" if number in table.controls else "")
    return shown


def plain(text: str, style: str = "") -> Text:
    """Return a text for a cell of a terminal: brackets are no markup in it, and nothing acts."""
    return Text(one_line(text), style)


def one_line(text: str) -> str:
    """Return a text whose control characters are seen, line feeds among them."""
    return visible(text).replace("\n", "\u240a")


def line(cells: Sequence[str]) -> str:
    """Return a row of a markdown table; what would end a cell, or be a tag or a link, is shown as it stands."""
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(cell: str) -> str:
    for sign, shown in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("](", "]\\(")):
        cell = cell.replace(sign, shown)
    return one_line(cell)


def sign(bound: str) -> str:
    """Return the sign before a bound."""
    return "≤ " if bound == "upper bound" else ""


def interval(interval: tuple[float, float] | None) -> str:
    """Return an interval, or a dash."""
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def difference(difference: tuple[float, float, float] | None) -> str:
    """Return the difference with its interval, and the words for one that is none."""
    if difference is None:
        return "-"
    middle, low, high = difference
    words = " no difference shown" if low <= 0 <= high else ""
    return f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]{words}"


def scale(value: float | None) -> str:
    """Return a large number in powers of ten, or a dash."""
    return "-" if value is None else f"{value:.2e}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with its digits, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def beside(text: TextRow, name: str, digits: int = 3) -> str:
    """Return a count of words with real text's own behind it."""
    return f"{getattr(text.quality, name):.{digits}f} ({getattr(text.real, name):.{digits}f})"


def judged(text: TextRow, judges: Sequence[str]) -> list[str]:
    """Return each judge's figure with real text's own behind it."""
    return [f"{number(text.judges[name], 2)} ({number(text.real_judges[name], 2)})" for name in judges]


def speed(cell: Latency | None) -> list[str]:
    """Return latency and throughput of a cell; a single cold run is marked, and so is one under load."""
    if cell is None:
        return ["-", "-"]
    load = LOADED if cell.contended else ""
    return [
        f"{cell.median:.3g} ({cell.p90:.3g}){'' if cell.warm else ' *'}{load}",
        f"{cell.tokens_per_second:,.0f}{load}",
    ]


def span(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """Return an interval in brackets, or nothing."""
    return "" if interval is None else f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def measured(text: TextRow, name: str, digits: int = 3) -> str:
    """Return a further measure of a text with real text's own behind it."""
    return f"{number(text.measures.get(name), digits)} ({number(text.real_measures.get(name), digits)})"
