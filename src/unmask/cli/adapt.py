"""``unmask adapt``: a run that writes left to right becomes a block or masked run, or learns to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import note
from unmask.cli.train import tell_plan, tell_run
from unmask.errors import Error
from unmask.lines import shell


def adapt(
    run: Annotated[str, typer.Argument(help="The run to begin with: causal, block or masked, imported or your own.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="process=block, data.source=FILE, lora.rank=8, or any other recipe key."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The new run's folder; default runs/NAME-PROCESS.")] = None,
    keep_causal: Annotated[
        float | None,
        typer.Option(min=0, help="Exit with status 1 if left to right lost more than this share of its bits: 0.05."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run, to the same weights.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the recipe and its cost, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a block or masked run of one that writes left to right; or teach a run to answer (data.format=chat)."""
    from unmask.api import adapt as api

    if dry_run:
        tell_plan(api.plan_adapted(run, option or []), json)
        return
    if keep_causal is not None and not resume and not api.adapted(run, option or []).training.valid_blocks:
        raise Error("--keep-causal compares held-out blocks, and training.valid_blocks is 0; leave one out.")
    found = api.adapt(run, option or [], output=output, resume=resume)
    # what was left to right before and after is told by this verb alone, and it checks the options again
    tell_run(found, json, " ".join(["unmask adapt", shell(run), *(f"-o {shell(each)}" for each in option or [])]))
    if keep_causal is None:
        return
    sides = found.manifest.get("adapted")
    if sides is None:
        raise Error(f"{run} and {found.path} do not both write left to right, so that --keep-causal has no answer.")
    if sides["causal_after"] > sides["causal_before"] * (1 + keep_causal):
        note(f"left to right lost more than {keep_causal:.1%}: raise process.causal_weight, or learn more slowly.")
        raise typer.Exit(1)
