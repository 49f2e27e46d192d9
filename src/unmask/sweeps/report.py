"""Write a sweep: ``report.html`` (self-contained), ``table.md`` and ``sweep.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from unmask.lines import counted
from unmask.reports.cells import Table, beside, difference, interval, judged, scale, sign, speed, to_markdown
from unmask.reports.report import finite, page
from unmask.reports.rows import Control, TextRow
from unmask.reports.tables import decision_table
from unmask.sweeps.curves import pictures
from unmask.sweeps.results import Configuration, SampleRow, SweepResult, SweepRow


def write_sweep(sweep: SweepResult, folder: Path) -> None:
    """Write the three files into ``folder``, over those of an earlier report."""
    content = json.dumps(finite(sweep.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "sweep.json").write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
    (folder / "table.md").write_text(to_text(sweep), encoding="utf-8", errors="backslashreplace")
    (folder / "report.html").write_text(to_html(sweep), encoding="utf-8", errors="backslashreplace")


def to_text(sweep: SweepResult) -> str:
    """Render as markdown."""
    warnings = "".join(f"- warning: {warning}\n" for warning in all_warnings(sweep))
    return f"{warnings}\n" * bool(warnings) + "\n".join(to_markdown(table) for table in sweep_tables(sweep))


def to_html(sweep: SweepResult) -> str:
    """Render as one page without any external resource. Every text in it is escaped."""
    return page("sweep.html").render(
        sweep=sweep,
        headline=headline(sweep),
        warnings=all_warnings(sweep),
        tables=sweep_tables(sweep),
        pictures=pictures(sweep),
        devices=sorted({row.device for row in sweep.rows if row.device}) or ["nothing was trained"],
        plan=yaml.safe_dump(sweep.plan, sort_keys=False, allow_unicode=True),
    )


def headline(sweep: SweepResult) -> str:
    """Say how the rows ended and what is the best of each kind."""
    parts = [f"{count} {status}" for status, count in sweep.counts.items()]
    sentences = [f"{counted(len(sweep.rows), 'row')}: {', '.join(parts)}."] if sweep.rows else []
    for best in sweep.configurations:
        if best.verdict in ("best", "only one of its kind"):
            alike = [
                c.label for c in sweep.configurations if c.bound == best.bound and c.verdict == "no difference shown"
            ]
            shared = f" No difference to it is shown by {'; '.join(alike)}." if alike else ""
            sign = "at most " if best.bound == "upper bound" else ""
            sentences.append(
                f"Lowest ({best.bound}): {best.label}, {sign}{best.bits_per_byte:.3f} bits per byte.{shared}"
            )
    return " ".join(sentences) or f"{len(sweep.samples)} ways to sample."


def all_warnings(sweep: SweepResult) -> list[str]:
    """Return the warnings, those that follow from the rows included."""
    found = list(sweep.warnings)
    found += [f"{row.label} failed: {row.why}" for row in sweep.failed]
    for bound in {c.bound for c in sweep.configurations}:
        tokens = [c.tokens for c in sweep.configurations if c.bound == bound and c.tokens]
        if tokens and max(tokens) > 1.02 * min(tokens):
            found.append(f"training tokens differ between rows ({min(tokens):,.0f} to {max(tokens):,.0f}).")
    uneven = {len(c.seeds) for c in sweep.configurations}
    if len(uneven) > 1:
        found.append(f"configurations have between {min(uneven)} and {max(uneven)} finished seeds.")
    return found


def sweep_tables(sweep: SweepResult) -> list[Table]:
    """Return the tables, the most important first."""
    scored = [_configurations(sweep)] if sweep.configurations else []
    rows = [_rows(sweep.rows)] if sweep.rows else []
    samples = [_samples(sweep.samples, sweep.controls)] if sweep.samples else []
    decided = [decision_table(sweep.decisions)] if sweep.decisions else []
    return [*scored, *decided, *rows, *samples]


def _configurations(sweep: SweepResult) -> Table:
    lines = [_configuration(each) for each in sweep.configurations]
    count = len(lines)
    for control in sweep.controls:
        if control.bits_per_byte is not None:
            value = f"{sign(control.bound)}{control.bits_per_byte:.3f}"
            span = interval(control.interval)
            lines.append([control.name, value, control.bound, "control", "-", span, *["-"] * 6])
    held = sweep.held_out
    return Table(
        "Configurations: bits per byte of held-out text",
        [
            "configuration",
            "bits/byte",
            "kind",
            "verdict",
            "above the best of its kind",
            "95 % interval",
            "seeds",
            "parameters",
            "tokens",
            "train FLOPs",
            "train s",
            "train tok/s",
        ],
        lines,
        frozenset(range(count, len(lines))),
        f"Lower is better; mean ± standard deviation over seeds. {counted(held['documents'], 'document')}, "
        f"{held['bytes']:,} "
        f"bytes of {held['source']} ({held['split']}, fingerprint {held['fingerprint']}), windows of {held['window']} "
        "bytes. Exact figures and upper bounds are different kinds, each held against its own alone. Intervals are "
        "over documents, and over seeds where there are several; with one seed they speak of that very run. The best "
        "was picked on these documents, which flatters it a little. Stopped rows are not scored. N-grams read whole "
        "documents.",
    )


def _configuration(each: Configuration) -> list[str]:
    value = f"{sign(each.bound)}{each.bits_per_byte:.3f}" + ("" if each.spread is None else f" ± {each.spread:.3f}")
    return [
        each.label,
        value,
        each.bound if each.bound != "upper bound" else f"upper bound, {counted(each.draws, 'draw')}",
        each.verdict,
        difference(each.difference).removesuffix(" no difference shown"),
        interval(each.interval),
        str(len(each.seeds)),
        f"{each.parameters:,}",
        _count(each.tokens),
        scale(each.training_flops),
        _count(each.seconds),
        _count(each.tokens_per_second),
    ]


def _rows(rows: Sequence[SweepRow]) -> Table:
    return Table(
        "Rows: one a run",
        [
            "row",
            "id",
            "status",
            "bits/byte",
            "95 % interval",
            "held-out nats/token",
            "steps",
            "tokens",
            "train s",
            "tok/s",
        ],
        [
            [
                row.label,
                row.id or "-",
                f"{row.status}: {row.why}" if row.why else row.status,
                "-" if row.bits_per_byte is None else f"{sign(row.bound)}{row.bits_per_byte:.3f}",
                interval(row.interval),
                "-" if row.held_out_nats is None else f"{row.held_out_nats:.3f}",
                _count(row.steps),
                _count(row.tokens),
                _count(row.seconds),
                _count(row.tokens_per_second),
            ]
            for row in rows
        ],
        frozenset(number for number, row in enumerate(rows) if row.status != "finished"),
        "The run of a row lies in rows/ID/run. Held-out nats a token are what training logged last.",
    )


def _samples(samples: Sequence[SampleRow], controls: Sequence[Control]) -> Table:
    judges = list(samples[0].text.judges)
    batches = sorted({cell.batch for sample in samples for cell in sample.text.latency})
    lines = []
    for sample in samples:
        cells = {cell.batch: cell for cell in sample.text.latency}
        times = [words for batch in batches for words in speed(cells.get(batch))]
        lines.append([sample.label, sample.sampler, *_measures(sample.text, judges), *times])
    count = len(lines)
    for control in controls:
        if control.text is not None:
            lines.append([control.name, "control", *_measures(control.text, judges), *["-"] * 2 * len(batches)])
    columns = ["run", "sampler", *judges, "distinct-1", "distinct-2", "distinct-3", "repeated-4", "entropy"]
    return Table(
        "Samplers: the text that each way writes, and its time",
        [*columns, *(heading for batch in batches for heading in (f"B{batch} s (p90)", f"B{batch} tok/s"))],
        lines,
        frozenset(range(count, len(lines))),
        "In brackets: real text of the same size; a good text is close to it, not far below. A collapsed text pleases "
        "any judge, so read the judge beside distinct-n, repeated-4 (share of 4-grams said before) and entropy (bits a "
        "word). Seconds are the median until all texts of a batch are done, all of the same number of tokens; * marks "
        "a single run without warm-up, † one under load, which says little: other programs took the processor.",
    )


def _measures(text: TextRow, judges: Sequence[str]) -> list[str]:
    names = ("distinct_1", "distinct_2", "distinct_3", "repeated_4")
    return [*judged(text, judges), *(beside(text, name) for name in names), beside(text, "entropy", 2)]


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
