"""``unmask compare``: several runs on the same text, one table, one report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.blind import make_page, show_results
from unmask.cli.console import console, note, print_json
from unmask.errors import Error

if TYPE_CHECKING:
    from unmask.compare.rows import Comparison


def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Run folders, or Hub names. With --blind-results: readers' choices.json.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report.html, table.md, compare.json.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Held-out text; default the held-out part of the first run's corpus.")
    ] = None,
    documents: Annotated[int, typer.Option("--documents", help="Most held-out documents.")] = 200,
    draws: Annotated[int, typer.Option("--draws", help="Network calls a window, where a number is a bound.")] = 8,
    judge: Annotated[
        str, typer.Option("--judge", help="auto (n-gram and a small model, trained once), n-gram, none, or a run.")
    ] = "auto",
    samples: Annotated[int, typer.Option("--samples", help="Texts that each way to sample writes.")] = 32,
    holes: Annotated[int, typer.Option("--holes", help="Holes that each run fills, where it can; 0: none.")] = 64,
    length: Annotated[int | None, typer.Option("--length", help="Tokens of a generated text.")] = None,
    steps: Annotated[str, typer.Option("--steps", help="Steps of samplers that have them.")] = "8,32,128",
    batches: Annotated[str, typer.Option("--batches", help="Batch sizes at which generation is timed.")] = "1,8,32",
    budget: Annotated[
        str, typer.Option("--budget", help="What the runs are said to be equal in: tokens, flops or time.")
    ] = "tokens",
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="Decision rules (YAML); exit status 0 keep, 1 drop, 3 undecided."),
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Instead, write a page on which people choose between two runs' texts.")
    ] = False,
    blind_results: Annotated[
        bool, typer.Option("--blind-results", help="Instead, count what people chose on such a page.")
    ] = False,
    prompts: Annotated[
        str | None, typer.Option("--prompts", help="Of --blind: stories (default), reasoning, or a file of prompts.")
    ] = None,
    rubric: Annotated[Path | None, typer.Option("--rubric", help="Of --blind: criteria (YAML).")] = None,
    pairs: Annotated[
        int | None, typer.Option("--pairs", help="Of --blind: pairs of texts; default all prompts.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Of --blind: of both runs; default 0.8.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of documents, bounds, samples and intervals.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Score, sample and time runs on the same held-out text, beside controls, and write one report."""
    of_blind = {"--prompts": prompts, "--rubric": rubric, "--pairs": pairs, "--temperature": temperature}
    for option, value in of_blind.items():
        if value is not None and not blind:
            raise Error(f"{option} belongs to --blind; add --blind, or leave it out.")
    if blind_results:
        if blind:
            raise Error("--blind makes a page and --blind-results counts what was chosen on it; give one of them.")
        show_results(runs, output, json=json)
        return
    if output is None:
        raise Error("missing option '--output' / '-o': the folder of the report. See 'unmask compare --help'.")
    if blind:
        make_page(
            runs,
            output,
            prompts=prompts or "stories",
            rubric=rubric,
            pairs=pairs,
            length=length,
            temperature=0.8 if temperature is None else temperature,
            seed=seed,
            json=json,
        )
        return
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
        holes=holes,
        length=length,
        steps=counts["--steps"],
        batches=counts["--batches"],
        budget=budget,  # type: ignore[arg-type]  # the function refuses any other
        rules=rules,
        seed=seed,
        command=shlex.join(["unmask", *sys.argv[1:]]),
        say=note,
    )
    for warning in result.warnings:
        note(f"warning: {warning}")
    if json:
        print_json(result.to_dict())
        raise typer.Exit(_status(result))
    from rich.console import Console

    from unmask.compare.cells import to_rich
    from unmask.compare.tables import tables

    out = Console(width=None if console.is_terminal else 200)
    for table in tables(result):
        out.print(to_rich(table))
    for decision in result.decisions:
        note(f"{decision.verdict}: {decision.keep} against {decision.against}")
    print(output / "report.html")
    raise typer.Exit(_status(result))


def _status(result: Comparison) -> int:
    """Return what the decisions say to a program: 1 if one is drop, else 3 if one is undecided, else 0."""
    verdicts = {decision.verdict for decision in result.decisions}
    return 1 if "drop" in verdicts else 3 if "undecided" in verdicts else 0


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise Error(f"{option} {text!r} must be whole numbers with commas between them, such as 8,32.") from error
