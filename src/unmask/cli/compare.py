"""``unmask compare``: several runs on the same text, one table, one report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import console, note, print_json
from unmask.errors import Error


def compare(
    runs: Annotated[list[str], typer.Argument(help="Run folders, or Hub names.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.html, table.md, compare.json.")],
    source: Annotated[
        str | None, typer.Option("--source", help="Held-out text; default the held-out part of the first run's corpus.")
    ] = None,
    documents: Annotated[int, typer.Option("--documents", help="Most held-out documents.")] = 200,
    draws: Annotated[int, typer.Option("--draws", help="Network calls a window, where a number is a bound.")] = 8,
    judge: Annotated[
        str, typer.Option("--judge", help="auto (n-gram and a small model, trained once), n-gram, none, or a run.")
    ] = "auto",
    samples: Annotated[int, typer.Option("--samples", help="Texts that each way to sample writes.")] = 32,
    length: Annotated[int | None, typer.Option("--length", help="Tokens of a generated text.")] = None,
    steps: Annotated[str, typer.Option("--steps", help="Steps of samplers that have them.")] = "8,32,128",
    batches: Annotated[str, typer.Option("--batches", help="Batch sizes at which generation is timed.")] = "1,8,32",
    seed: Annotated[int, typer.Option("--seed", help="Of documents, bounds, samples and intervals.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Score, sample and time runs on the same held-out text, beside controls, and write one report."""
    counts = {"--steps": _numbers("--steps", steps), "--batches": _numbers("--batches", batches)}
    from unmask.api.compare import compare as measure

    result = measure(
        list(runs),
        output,
        source=source,
        documents=documents,
        draws=draws,
        judge=judge,
        samples=samples,
        length=length,
        steps=counts["--steps"],
        batches=counts["--batches"],
        seed=seed,
        command=shlex.join(["unmask", *sys.argv[1:]]),
        say=note,
    )
    for warning in result.warnings:
        note(f"warning: {warning}")
    if json:
        print_json(result.to_dict())
        return
    from rich.console import Console

    from unmask.compare.tables import tables, to_rich

    out = Console(width=None if console.is_terminal else 200)
    for table in tables(result):
        out.print(to_rich(table))
    print(output / "report.html")


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise Error(f"{option} {text!r} must be whole numbers with commas between them, such as 8,32.") from error
