"""``unmask sweep``: a plan of many runs, trained, scored and sampled into one report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import note, print_json, printer, say
from unmask.errors import Error
from unmask.lines import counted

if TYPE_CHECKING:
    from unmask.api.sweep import PlanSweepResult


def sweep(
    plan: Annotated[str | None, typer.Argument(help="A packaged plan (see --list) or a YAML file.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="A recipe key for every row: section.key=value.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Folder; default runs/sweep-NAME.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Rows at a time; default one here, as many as fit on Ray.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Threads of a row.")] = None,
    on: Annotated[str, typer.Option("--on", help="local, or ray: pip install 'unmask[ray]'.")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster, such as auto; default a Ray on this machine.")
    ] = None,
    available: Annotated[
        bool, typer.Option("--available", help="Leave out rows whose parts do not exist, instead of refusing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the rows with their cost, and stop.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the packaged plans.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Train, score and sample a plan's rows into one report. Ctrl-C saves; the same command goes on."""
    from unmask.api import sweep as api

    if listing:
        plans = api.sweep_plans()
        if json:
            print_json({"plans": [line.to_dict() for line in plans]})
            return
        for line in plans:
            say(f"{line.name:24} {line.about}")
        return
    if plan is None:
        raise Error("say which plan: unmask sweep PLAN.yaml, or one of 'unmask sweep --list'.")
    if dry_run:
        _preview(api.plan_sweep(plan, option or []), json)
        return
    command = shlex.join(["unmask", *sys.argv[1:]])
    try:
        result = api.sweep(
            plan,
            option or [],
            output=output,
            workers=workers,
            threads=threads,
            on=on,
            address=address,
            available=available,
            command=command,
            say=note,
        )
    except KeyboardInterrupt:
        note("stopped; what was done is saved. Continue with the same command.")
        raise
    from unmask.reports.cells import to_rich
    from unmask.sweeps.report import all_warnings, sweep_tables

    for warning in all_warnings(result):
        note(f"warning: {warning}")
    if json:
        print_json(result.to_dict())
    else:
        out = printer(240)
        for table in sweep_tables(result):
            out.print(to_rich(table))
        say(Path(result.folder) / "report.html")
    if result.failed:
        note(
            f"{len(result.failed)} of {counted(len(result.rows), 'row')} failed; run the same command to try "
            "them again."
        )
        raise typer.Exit(1)


def _preview(preview: PlanSweepResult, json: bool) -> None:
    if json:
        print_json(preview.to_dict())
        return
    from rich.table import Table

    from unmask.reports.cells import plain

    title = plain(f"plan {preview.plan.name}: {counted(len(preview.rows), 'row')}", "table.title")
    table = Table(title=title, title_justify="left")
    table.add_column("row", overflow="fold")
    for column in ("id", "parameters", "steps", "tokens", "train FLOPs", "memory MiB"):
        table.add_column(column, justify="right")
    table.add_column("state", overflow="fold")
    for row in preview.rows:
        cost = row.cost
        if cost is None:
            table.add_row(plain(row.label), *["-"] * 6, plain(f"not available: {row.missing}"))
            continue
        spent = (f"{cost.tokens or 0:,}", f"{cost.training_flops or 0:.2e}")
        counts = (f"{cost.parameters:,}", f"{cost.recipe.training.max_steps:,}", *spent)
        table.add_row(plain(row.label), row.id, *counts, f"{cost.memory_bytes / 2**20:,.0f}", "ready")
    out = printer(200)
    if preview.rows:
        out.print(table)
    for way in preview.ways:
        state = f"not available: {way.missing}" if way.missing else "ready"
        say(f"sampler {way.label}: {state}")
    ready = [row.cost for row in preview.rows if row.cost is not None]
    total = sum(cost.training_flops or 0 for cost in ready)
    say(
        f"{counted(len(ready), 'row')} ready, {len(preview.rows) - len(ready)} not available; {total:.2e} "
        "training FLOPs in all"
    )
