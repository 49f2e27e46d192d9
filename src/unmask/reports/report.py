"""Write a comparison: ``report.html`` (self-contained), ``table.md`` and ``compare.json``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from unmask.errors import Error
from unmask.reports.cells import to_markdown
from unmask.reports.charts import pictures
from unmask.reports.rows import CompareResult
from unmask.reports.scope import LEFT_OUT
from unmask.reports.tables import tables


def write_report(comparison: CompareResult, folder: Path) -> None:
    """Write the three files into ``folder``, over those of an earlier comparison.

    Raises:
        Error: ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise Error(f"--output {folder} is a file; give a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(finite(comparison.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "compare.json").write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
    (folder / "table.md").write_text(to_text(comparison), encoding="utf-8", errors="backslashreplace")
    (folder / "report.html").write_text(to_html(comparison), encoding="utf-8", errors="backslashreplace")


def to_text(comparison: CompareResult) -> str:
    """Render as markdown."""
    warnings = "".join(f"- warning: {warning}\n" for warning in comparison.warnings)
    head = f"{comparison.answer}\n\n{kind(comparison)}\n\n"
    return head + f"{warnings}\n" * bool(warnings) + "\n".join(to_markdown(table) for table in tables(comparison))


def to_html(comparison: CompareResult) -> str:
    """Render as one page without any external resource. Every text in it is escaped."""
    return page("report.html").render(
        comparison=comparison,
        kind=kind(comparison),
        tables=tables(comparison),
        pictures=pictures(comparison),
    )


def page(name: str) -> Template:
    """Return a template of this folder; they share their style and their tables."""
    loader = PackageLoader("unmask.reports", "templates")
    options = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    return Environment(loader=loader, **options).get_template(name)


def kind(comparison: CompareResult) -> str:
    """Say whether the comparison is quick or full, and what was left out."""
    setup, held = comparison.setup, comparison.held_out
    said = "This is a full comparison"
    if setup["quick"]:
        said = "This is a quick comparison, to see where things stand"
    size = f"{held['documents']} documents, {setup['samples']} texts a row of at most {setup['length']} tokens"
    timing = "" if setup["timing"] else " Timing was off: nothing here speaks of speed or memory."
    half = " All networks computed in bf16." if setup.get("precision") == "bf16" else ""
    quote = f" Left out: {LEFT_OUT}. Leave --quick out for numbers to quote." if setup["quick"] else ""
    return f"{said}: {size}, {setup['draws']} draws a bound.{half}{quote}{timing}"


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
