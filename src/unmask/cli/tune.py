"""``unmask tune``: search how a run writes well and fast on this machine, and keep what is chosen as its preset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, printer, say
from unmask.lines import counted, shell

if TYPE_CHECKING:
    from unmask.api.tune_results import FrontLine, TuneResult


def _refuse(given: Parameters) -> None:
    from unmask.sweeps.tune_checks import check_choice, import_optuna

    import_optuna()
    check_choice(given["choose"])


@refused_by(_refuse)
def tune(
    run: Annotated[str, typer.Argument(help="A run folder, or a Hub name.")],
    trials: Annotated[int, typer.Option("--trials", help="Ways to try in all, those of earlier calls included.")] = 40,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="No new trial begins after so many minutes of this call.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch", "--batch-size", help="Texts at once that are timed; each number is a search.")
    ] = 1,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            help="own (the run's left-to-right side; default where there is one), n-gram, or a causal run of other "
            "text.",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Held-out text; default the held-out part of the run's corpus.")
    ] = None,
    prompts: Annotated[int, typer.Option("--prompts", help="Documents whose first words are prompts.")] = 16,
    length: Annotated[
        int | None, typer.Option("--length", help="Tokens written and timed; default 128, or what there is room for.")
    ] = None,
    choose: Annotated[
        str,
        typer.Option("--choose", help="The preset: fast, good, balanced, the number of a row of the front, or none."),
    ] = "balanced",
    seed: Annotated[int, typer.Option("--seed", help="Of the documents chosen, the search and the texts.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Begin this search anew.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Search settings for quality and speed on this machine; the chosen ones become the run's preset. Ctrl-C saves."""
    from unmask.api.tune import tune as search
    from unmask.progress_line import ProgressLine

    try:
        with ProgressLine() as line:
            result = search(
                run,
                trials=trials,
                minutes=minutes,
                batch_size=batch_size,
                judge=judge,
                source=source,
                prompts=prompts,
                length=length,
                choose=choose,
                seed=seed,
                force=force,
                progress=line,
            )
    except KeyboardInterrupt:
        note("stopped; every finished trial is saved. The same command goes on, and --trials 1 shows what is there.")
        raise
    for text in result.notes:
        note(f"note: {text}")
    if any(row.contended for row in (*result.front, result.own)):
        note("note: other programs took the processor while rows marked * were timed; their times are too long.")
    if json:
        print_json(result.to_dict())
        return
    _print(result)


def _print(result: TuneResult) -> None:
    from rich.table import Table

    from unmask.reports.cells import plain

    title = f"{counted(result.trials, 'trial')}, {result.collapsed} of them collapsed; judge: {result.judge}"
    table = Table(title=plain(title, "table.title"), title_justify="left")
    for column, side in (("", "right"), ("sampler and settings", "left"), ("ms for 128 tokens", "right")):
        table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
    for column in ("bits per byte", "entropy (real)", "repeats (real)", "calls"):
        table.add_column(column, justify="right")
    for number, row in enumerate(result.front, 1):
        table.add_row(f"{number}{' >' * (number == result.chosen)}", *map(plain, _cells(row)))
    table.add_row("own", *map(plain, _cells(result.own)))
    printer(200).print(table)
    say(f"real text behind the prompts: {result.real_bits_per_byte:.3f} bits per byte; less is no better")
    say(
        f"{result.prompts} prompts, {counted(result.length, 'token')} each, batch {result.batch_size}, seeds "
        f"{result.seed} (search) and {result.seed + 1} (this table); {counted(result.threads, 'thread')} of "
        f"{result.machine}"
    )
    say(f"picture: {result.picture} (pale: as tried; full: measured again)")
    if result.preset is not None and result.chosen is not None:
        say(f"preset: {result.preset} ({result.front[result.chosen - 1].label})")
        note("sample and infill write by it from now on; --no-preset leaves it aside, and so does --sampler.")
        note(f"next: unmask sample {shell(result.run)}")


def _cells(row: FrontLine) -> tuple[str, ...]:
    low, high = row.ms_range
    bits = "-" if row.bits_per_byte is None else f"{row.bits_per_byte:.3f}"
    if row.interval is not None:
        bits += f" ({row.interval[0]:.2f} to {row.interval[1]:.2f})"
    return (
        row.label + ", collapsed" * row.collapsed,
        f"{row.ms:,.0f}{'*' * row.contended} ({low:,.0f} to {high:,.0f})",
        bits,
        f"{row.entropy:.2f} ({row.real_entropy:.2f})",
        f"{row.repeated_4:.3f} ({row.real_repeated_4:.3f})",
        str(row.forwards),
    )
