"""``unmask doctor``: look at this machine and say how to mend what is missing."""

from __future__ import annotations

from typing import Annotated

import typer

from unmask.cli.console import note, print_json, say
from unmask.progress_line import ProgressLine


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compile a function and reach for the Hub (up to a minute).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Check versions, device, bf16, compiler, threads, memory and disk; each problem comes with a fix."""
    from unmask.api.doctor import doctor as examine

    with ProgressLine("looking at this machine"):
        diagnosis = examine(deep=deep)
    if json:
        print_json(diagnosis.to_dict())
    else:
        width = max(len(check.name) for check in diagnosis.checks)
        for check in diagnosis.checks:
            say(f"{check.status:<5} {check.name:<{width}}  {check.detail}")
            if check.fix:
                say(f"      fix: {check.fix}")
        note("all is well." if diagnosis.healthy else "some verbs will not work before the failures above are mended.")
    if not diagnosis.healthy:
        raise typer.Exit(1)
