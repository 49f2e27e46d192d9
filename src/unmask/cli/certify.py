"""``unmask certify``: is a sampler right, given a network that makes no mistake?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import note, print_json, printer
from unmask.cli.outputs import Force
from unmask.cli.settings import read_settings
from unmask.errors import Error
from unmask.progress_line import ProgressLine


def certify(
    samplers: Annotated[list[str] | None, typer.Argument(metavar="[SAMPLER]...", help="Default: all.")] = None,
    steps: Annotated[str, typer.Option("--steps", help="Numbers of steps.")] = "1,2,4,8,16,32,64",
    samples: Annotated[int, typer.Option("--samples", help="Texts a cell.")] = 50_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the texts.")] = 0,
    world: Annotated[str, typer.Option("--world", help="markov | hmm | phrases | all.")] = "all",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="A setting to test: key=value. Default: the usual ones and variants."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest total variation that keeps a promise.")
    ] = 0.04,
    output: Annotated[Path | None, typer.Option("--output", help="Folder for certify.json and certify.md.")] = None,
    force: Force = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure how far samplers are from the truth in small known worlds. Exit status 1 if a promise is broken."""
    try:
        counts = [int(part) for part in steps.split(",")]
    except ValueError as error:
        raise Error(f"--steps {steps!r} must be whole numbers with commas between them, such as 4,64.") from error
    settings = read_settings(option or (), "-o")
    from unmask.api.certify import certify as measure

    with ProgressLine() as line:
        result = measure(
            samplers or None,
            steps=counts,
            samples=samples,
            seed=seed,
            world=world,
            settings=settings,
            tolerance=tolerance,
            output=output,
            command=shlex.join(["unmask", *sys.argv[1:]]),
            say=note,
            progress=line,
        )
    if json:
        print_json(result.to_dict())
    else:
        from unmask.reports.cells import to_rich

        out = printer(200)
        for table in result.tables():
            out.print(to_rich(table))
        note("no promise is broken." if result.passed else "some promises are broken: see FAILS above.")
    if not result.passed:
        raise typer.Exit(1)
