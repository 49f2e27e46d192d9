"""The tables of a report as text cells, and their renderings for the terminal and for markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable

from unmask.compare.rows import Comparison, TextRow
from unmask.evaluation.latency import Latency


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


def tables(comparison: Comparison) -> list[Table]:
    """Return all tables of a comparison, the most important first."""
    return [bits_table(comparison), speed_table(comparison), quality_table(comparison)]


def bits_table(comparison: Comparison) -> Table:
    """Bits per byte of the held-out text, with what each run cost to train."""
    rows = []
    for row in comparison.rows:
        value = f"{_sign(row.bound)}{row.bits_per_byte:.3f}"
        speed = "-" if row.train_tokens_per_second is None else f"{row.train_tokens_per_second:,.0f}"
        difference = "-"
        if row.difference is not None:
            middle, low, high = row.difference
            difference = f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]"
        rows.append(
            [
                row.name,
                row.process,
                value,
                row.bound if row.bound != "upper bound" else f"upper bound, {row.draws} draws",
                _interval(row.interval),
                difference,
                f"{row.parameters:,}",
                f"{row.tokens_seen:,}",
                speed,
            ]
        )
    runs = len(rows)
    for control in comparison.controls:
        if control.bits_per_byte is not None:
            value = f"{_sign(control.bound)}{control.bits_per_byte:.3f}"
            rows.append(
                [control.name, "control", value, control.bound, _interval(control.interval), "-", "-", "-", "-"]
            )
    held = comparison.held_out
    return Table(
        "Bits per byte of held-out text",
        [
            "run",
            "process",
            "bits/byte",
            "kind",
            "95 % interval",
            "above the first",
            "parameters",
            "tokens seen",
            "train tok/s",
        ],
        rows,
        frozenset(range(runs, len(rows))),
        f"Lower is better. {held['documents']} documents, {held['bytes']:,} bytes of {held['source']} "
        f"({held['split']}, fingerprint {held['fingerprint']}), windows of {held['window']} bytes. Kinds are not to be "
        "mixed: the model's own figure may lie below an upper bound, never above. Models that are told where a "
        "document ends (all but left to right) pay for it. Intervals are over documents; the difference is paired. "
        "The n-grams read documents whole.",
    )


def speed_table(comparison: Comparison) -> Table:
    """Latency and throughput of each way to sample, beside the quality of its text."""
    every = [text for row in comparison.rows for text in row.generation]
    batches = sorted({cell.batch for text in every for cell in text.latency})
    judges = list(every[0].judges) if every else []
    columns = ["run", "sampler", "steps", *judges, "distinct-2", "repeated-4", "entropy"]
    for batch in batches:
        columns += [f"B{batch} s (p90)", f"B{batch} tok/s"]
    rows = []
    for text in every:
        cells = {cell.batch: cell for cell in text.latency}
        row = [text.name, text.sampler, "-" if text.steps is None else str(text.steps), *_judged(text, judges)]
        row += [_beside(text, "distinct_2"), _beside(text, "repeated_4"), _beside(text, "entropy", 2)]
        for batch in batches:
            row += _speed(cells.get(batch))
        rows.append(row)
    setup = comparison.setup
    return Table(
        "Speed, and the text that it buys",
        columns,
        rows,
        frozenset(),
        "In brackets: real text of the same size; a good text is close to it, not far below. Seconds are the median "
        f"until all texts of a batch of B are done, {setup['length']} tokens each, no prompt, end of text not allowed "
        "(equal work); p90 is over few repeats, and a cell marked * is a single run without warm-up. "
        f"{setup['device']}, threads: {setup['threads']}.",
    )


def quality_table(comparison: Comparison) -> Table:
    """All measures of generated text, beside real text of the same size and the control texts."""
    every = [text for row in comparison.rows for text in row.generation]
    runs = len(every)
    every += [control.text for control in comparison.controls if control.text is not None]
    judges = list(every[0].judges) if every else []
    rows = [
        [
            text.label,
            *_judged(text, judges),
            *(_beside(text, name) for name in ("distinct_1", "distinct_2", "distinct_3", "repeated_4")),
            _beside(text, "entropy", 2),
            f"{text.quality.words:.0f}",
            f"{text.quality.bytes:.0f}",
        ]
        for text in every
    ]
    return Table(
        "Quality of generated text",
        ["text", *judges, "distinct-1", "distinct-2", "distinct-3", "repeated-4", "entropy", "words", "bytes"],
        rows,
        frozenset(range(runs, len(rows))),
        "In brackets: real text of the same size. Judges: bits per byte under models that never saw the training "
        "split; a collapsed text pleases any judge, so read them beside distinct-n (share of different n-grams), "
        "repeated-4 (share of 4-grams said before in the same text) and entropy (bits a word).",
    )


def to_markdown(table: Table) -> str:
    """Render a table as GitHub markdown."""
    lines = [f"### {table.title}", "", _line(table.columns), _line(["---"] * len(table.columns))]
    lines += [_line(row) for row in table.rows]
    return "\n".join([*lines, "", table.note, ""])


def to_rich(table: Table) -> RichTable:
    """Render a table for the terminal; controls are dim."""
    shown = RichTable(title=table.title, caption=table.note, title_justify="left", caption_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if place == 0 else "right")
    for number, row in enumerate(table.rows):
        shown.add_row(*row, style="dim" if number in table.controls else "")
    return shown


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sign(bound: str) -> str:
    return "≤ " if bound == "upper bound" else ""


def _interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _beside(text: TextRow, name: str, digits: int = 3) -> str:
    return f"{getattr(text.quality, name):.{digits}f} ({getattr(text.real, name):.{digits}f})"


def _judged(text: TextRow, judges: Sequence[str]) -> list[str]:
    return [f"{_number(text.judges[name], 2)} ({_number(text.real_judges[name], 2)})" for name in judges]


def _speed(cell: Latency | None) -> list[str]:
    if cell is None:
        return ["-", "-"]
    mark = "" if cell.warm else " *"
    return [f"{cell.median:.3g} ({cell.p90:.3g}){mark}", f"{cell.tokens_per_second:,.0f}"]
