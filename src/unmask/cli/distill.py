"""``unmask distill``: a run teaches another to write in fewer steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.train import tell_plan, tell_run


def distill(
    run: Annotated[str, typer.Argument(help="The teacher: a run of process masked or block.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="steps=4, or a key of its recipe: section.key=value. Repeat as needed."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The student's folder; default runs/NAME-distilled.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run, to the same weights.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the student's recipe and its cost, and stop.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Teach a student to write in few steps what a run writes in many. The student is a run like any other."""
    from unmask.api import distill as api

    if dry_run:
        tell_plan(api.plan_student(run, option or []), json)
        return
    tell_run(api.distill(run, option or [], output=output, resume=resume), json)
