"""A comparison for the terminal: the answer in a sentence, then a table that fits 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable

from unmask.data.visible import visible
from unmask.reports.cells import UNDER_LOAD, Table, number, plain, sign, speed
from unmask.reports.rows import CompareResult, Row, TextRow, sharpest

NARROW = 80
"""Columns of a terminal that everybody has."""
_GAP, _SHORTEST = 2, 8
"""Blanks behind a column; the least width of a name. A number is wrapped where nothing else helps, never cut."""


def print_summary(comparison: CompareResult, console: Console) -> None:
    """Print the sentence, the table and how to read it, on a console without markup."""
    table = summary_table(comparison)
    shown = RichTable(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]
    left = console.width - sum(widths[1:]) - _GAP * len(widths)
    shown.add_column(table.columns[0], overflow="fold", width=min(widths[0], max(left, _SHORTEST)))
    for column in table.columns[1:]:
        shown.add_column(column, justify="right", overflow="fold", no_wrap=left >= _SHORTEST)
    for place, row in enumerate(table.rows):
        shown.add_row(*map(plain, row), style="dim" if place in table.controls else "")
    console.print(visible(comparison.answer), emoji=False, markup=False, highlight=False)
    console.print()
    console.print(shown)
    console.print(visible(table.note), style="dim", emoji=False, markup=False, highlight=False)


def summary_table(comparison: CompareResult) -> Table:
    """Bits per byte, the difference, the judge's figure of the text, and speed; beside what counting n-grams needs."""
    judge = sharpest(comparison.controls, comparison.setup["judges"])
    timed = bool(comparison.setup["timing"])
    rows = []
    for row in comparison.rows:
        text = own_text(row)
        spread = "" if row.spread is None else f" ±{row.spread:.3f}"
        rows.append(
            [
                row.name,
                f"{sign(row.bound)}{row.bits_per_byte:.3f}{spread}",
                "-" if row.difference is None else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*row.difference),
                *([f"{number(text.judges[judge], 2)} ({number(text.real_judges[judge], 2)})"] if judge else []),
                *([speed(text.latency[0])[1]] if timed else []),
            ]
        )
    runs, empty = len(rows), ["-"] * (bool(judge) + timed)
    rows += [
        [control.name, f"{control.bits_per_byte:.3f}", "-", *empty]
        for control in comparison.controls
        if control.name in ("order-5 n-gram", "unigram") and control.bits_per_byte is not None
    ]
    columns = ["run", "bits/byte", "above the first", *(["text (real)"] if judge else [])]
    columns += ["tok/s"] if timed else []
    return Table("Summary", columns, rows, frozenset(range(runs, len(rows))), _note(comparison, judge, timed))


def own_text(row: Row) -> TextRow:
    """Return the texts of a row's own sampler at its most steps."""
    return [text for text in row.generation if text.sampler == row.generation[0].sampler][-1]


def _note(comparison: CompareResult, judge: str | None, timed: bool) -> str:
    told = [f"bits/byte of {comparison.held_out['documents']} held-out documents: lower is better, ≤ is a bound."]
    if judge:
        told.append(f"text: bits/byte of what it wrote under the {judge}, real text's in brackets; closer is better.")
    if timed:
        cells = [own_text(row).latency[0] for row in comparison.rows]
        told.append(f"tok/s: written at batch {cells[0].batch}.")
        if any(cell.contended for cell in cells):
            told.append(UNDER_LOAD.strip())
    if comparison.setup["quick"]:
        told.append("Quick: leave --quick out for numbers to quote.")
    return " ".join(told)
