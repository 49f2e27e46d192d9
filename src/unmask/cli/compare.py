"""``unmask compare``: several runs on the same text, one table, one report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.blind import make_page, show_results
from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, printer, say
from unmask.errors import Error
from unmask.lines import shell

if TYPE_CHECKING:
    from unmask.reports.rows import CompareResult


def _refuse(given: Parameters) -> None:
    for option in ("prompts", "rubric", "pairs", "temperature"):
        if given[option] is not None and not given["blind"]:
            raise Error(f"--{option} belongs to --blind; add --blind, or leave it out.")
    if given["precision"] not in ("fp32", "bf16"):
        raise Error(f"--precision is {given['precision']!r}; all runs are compared in one of fp32 and bf16.")
    if given["precision"] != "fp32" and (given["blind"] or given["blind_results"]):
        raise Error("--precision is of a comparison's numbers, and people choose between texts; leave it out.")
    if given["blind_results"]:
        if given["blind"]:
            raise Error("--blind makes a page and --blind-results counts what was chosen on it; give one of them.")
        return
    if given["output"] is None:
        raise Error("missing option '--output' / '-o': the folder of the report. See 'unmask compare --help'.")
    if given["output"].exists() and not given["output"].is_dir():
        raise Error(f"--output {given['output']} is a file; give a folder.")
    if given["blind"] and len(given["runs"]) != 2:
        raise Error(f"--blind takes two runs, got {len(given['runs'])}.")
    for option in ("steps", "batches"):
        _numbers(f"--{option}", given[option])
    if given["measures"] is not None:
        from unmask.reports.scope import choose

        choose(measures=_names(given["measures"]))


@refused_by(_refuse)
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
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure less: under a minute for two nano runs on one core.")
    ] = False,
    timing: Annotated[bool, typer.Option("--timing/--no-timing", help="Time generation, and take its memory.")] = True,
    documents: Annotated[
        int | None, typer.Option("--documents", help="Most held-out documents; default 200, quick 60.")
    ] = None,
    draws: Annotated[
        int | None, typer.Option("--draws", help="Network calls a window of a bound; default 8, quick 4.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            help="auto (n-gram and a small model, trained once; default), n-gram (default of --quick), none, or a run.",
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", help="Texts that each way to sample writes; default 32, quick 12.")
    ] = None,
    holes: Annotated[
        int | None, typer.Option("--holes", help="Holes that each run fills; 0: none; default 64, quick 16.")
    ] = None,
    length: Annotated[
        int | None, typer.Option("--length", help="Tokens of a generated text; default at most 256, quick 64.")
    ] = None,
    steps: Annotated[
        str | None, typer.Option("--steps", help="Steps of samplers that have them; default 8,32,128, quick 8,32.")
    ] = None,
    batches: Annotated[
        str | None, typer.Option("--batches", help="Batch sizes that are timed; default 1,8,32, quick 1.")
    ] = None,
    measures: Annotated[
        str | None,
        typer.Option(
            "--measures", help="Measure besides: script (keeps Hindi, Hinglish and mixed script after prompts)."
        ),
    ] = None,
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
        str | None,
        typer.Option("--prompts", help="Of --blind: stories (default), reasoning, indic, or a file."),
    ] = None,
    rubric: Annotated[Path | None, typer.Option("--rubric", help="Of --blind: criteria (YAML).")] = None,
    pairs: Annotated[
        int | None, typer.Option("--pairs", help="Of --blind: pairs of texts; default all prompts.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Of --blind: of both runs; default 0.8.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted comparison in the folder.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what the folder holds of an earlier one.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of documents, bounds, samples and intervals.")] = 0,
    precision: Annotated[
        str, typer.Option("--precision", help="What all runs compute in, scores and texts: fp32 or bf16.")
    ] = "fp32",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Score, sample and time runs on the same held-out text, beside controls, and write one report."""
    if blind_results:
        show_results(runs, output, json=json)
        return
    assert output is not None  # _refuse saw to it
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
    from unmask.api.compare import compare as measure
    from unmask.progress_line import ProgressLine

    try:
        with ProgressLine() as line:
            result = measure(
                list(runs),
                output,
                quick=quick,
                timing=timing,
                source=source,
                documents=documents,
                draws=draws,
                judge=judge,
                samples=samples,
                holes=holes,
                length=length,
                steps=_numbers("--steps", steps),
                batches=_numbers("--batches", batches),
                measures=_names(measures or ""),
                budget=budget,  # type: ignore[arg-type]  # the function refuses any other
                rules=rules,
                seed=seed,
                precision=precision,  # type: ignore[arg-type]  # the function refuses any other
                resume=resume,
                force=force,
                command=shlex.join(["unmask", *sys.argv[1:]]),
                say=note,
                progress=line,
            )
    except KeyboardInterrupt:
        if (output / "parts").is_dir():
            note(f"what is finished is kept in {output}; the same command with --resume goes on.")
        raise
    if json:
        _warn(result)
        print_json(result.to_dict())
        raise typer.Exit(_status(result))
    show_result(result)
    _warn(result)
    for decision in result.decisions:
        note(f"{decision.verdict}: {decision.keep} against {decision.against}")
    say(f"all tables: {output / 'table.md'}")
    say(f"report:     {output / 'report.html'}")
    if quick:
        again = " ".join(shell(part) for part in (*runs, "-o", f"{output}-full"))
        note(f"next: unmask compare {again}   (for numbers to quote)")
    raise typer.Exit(_status(result))


def show_result(result: CompareResult) -> None:
    """Print the answer and the table on stdout, no wider than the terminal."""
    from unmask.reports.summary import NARROW, print_summary

    out = printer()
    print_summary(result, out if out.is_terminal else printer(NARROW))


def _warn(result: CompareResult) -> None:
    for warning in result.warnings:
        note(f"warning: {warning}")


def _status(result: CompareResult) -> int:
    """Return what the decisions say to a program: 1 if one is drop, else 3 if one is undecided, else 0."""
    verdicts = {decision.verdict for decision in result.decisions}
    return 1 if "drop" in verdicts else 3 if "undecided" in verdicts else 0


def _numbers(option: str, text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise Error(f"{option} {text!r} must be whole numbers with commas between them, such as 8,32.") from error


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
