"""``unmask thoughts analyse``: thoughts from noise to text, and every measure of them beside its controls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import note, print_json, printer, say
from unmask.cli.outputs import Force
from unmask.progress_line import ProgressLine


def analyse(
    run: Annotated[str, typer.Argument(help="A run folder, or a Hub name, trained with a section thought.")],
    n: Annotated[int, typer.Option("--n", "-n", help="Texts to write.")] = 8,
    steps: Annotated[int | None, typer.Option("--steps", help="Steps of the sampler; default the recipe's.")] = None,
    every: Annotated[int, typer.Option("--every", help="Steps between two moments that are shown.")] = 4,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="A sampler that carries thoughts; default the recipe's.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Held-out text; default the held-out part of the run's corpus.")
    ] = None,
    documents: Annotated[int, typer.Option("--documents", help="Most documents of it.")] = 64,
    draws: Annotated[int, typer.Option("--draws", help="Network calls a window, where a likelihood is a bound.")] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Of texts, documents and controls.")] = 0,
    table: Annotated[bool, typer.Option("--table/--no-table", help="Whether to measure on held-out text.")] = True,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for thoughts.html, thoughts.json and the pictures.")
    ] = None,
    force: Force = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Follow thoughts from noise to text, and measure them: compression, stability, alignment, diversity, collapse."""
    from unmask.api.analyse import thoughts_analyse

    with ProgressLine("opening the run") as line:
        found = thoughts_analyse(
            run,
            n=n,
            steps=steps,
            every=every,
            sampler=sampler,
            source=source,
            documents=documents,
            draws=draws,
            seed=seed,
            table=table,
            output=output,
            progress=line,
        )
    for text in found.notes:
        note(f"note: {text}")
    if json:
        print_json(found.to_dict())
        return
    first = found.texts[0]
    say(f"{'step':>6}{'open':>8}{'noise':>8}{'to end':>8}{'to read':>9}{'velocity':>10}  text 1 of {len(found.texts)}")
    for moment in first.moments:
        velocity = "-" if moment.velocity is None else f"{moment.velocity:.3f}"
        numbers = f"{moment.open:>8.2f}{moment.level:>8.2f}{moment.to_end:>8.2f}{moment.to_read:>9.2f}{velocity:>10}"
        say(f"{moment.step:>6}{numbers}  {' '.join(moment.text.split())[:60]}")
    if found.measures:
        from unmask.reports.cells import to_rich

        printer(240).print(to_rich(found.table()))
    if found.collapse is not None:
        say(f"{'collapsed' if found.collapse.collapsed else 'not collapsed'}: {found.collapse.why}")
    for path in found.files:
        say(path)
