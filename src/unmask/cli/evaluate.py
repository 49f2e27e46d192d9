"""``unmask evaluate``: bits per byte of text that a run was not trained on."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, say
from unmask.cli.sample import Precision
from unmask.errors import Error
from unmask.lines import counted, shell
from unmask.progress_line import ProgressLine
from unmask.training.inference import check_precision


def _refuse(given: Parameters) -> None:
    check_precision(given["precision"])
    likelihood = given["likelihood"]
    if likelihood not in ("default", "duel"):
        raise Error(f"unknown likelihood {likelihood!r}; choose default or duel.")


@refused_by(_refuse)
def evaluate(
    run: Annotated[str, typer.Argument(help="A run folder, or a Hub name.")],
    source: Annotated[
        str | None, typer.Option("--source", help="Text to score; default the held-out part of the run's corpus.")
    ] = None,
    documents: Annotated[int, typer.Option("--documents", help="Most documents to score.")] = 200,
    draws: Annotated[int, typer.Option("--draws", help="Network calls a window, where the number is a bound.")] = 8,
    likelihood: Annotated[
        str, typer.Option("--likelihood", help="default, or duel: exact for surest-first unmasking, many calls.")
    ] = "default",
    seed: Annotated[int, typer.Option("--seed", help="Of the documents chosen and of the bound.")] = 0,
    precision: Precision = "fp32",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Score a run in bits per byte of held-out text."""
    from unmask.api.evaluate import evaluate as score

    with ProgressLine("opening the run") as line:
        result = score(
            run,
            source=source,
            documents=documents,
            draws=draws,
            likelihood="duel" if likelihood == "duel" else "default",
            seed=seed,
            precision=precision,  # type: ignore[arg-type]  # _refuse saw to it
            progress=line,
        )
    for text in result.notes:
        note(f"note: {text}")
    if result.precision == "bf16":
        note("note: computed in bf16, which moves the number; published ones are of --precision fp32")
    if json:
        print_json(result.to_dict())
        return
    sign = "at most " if result.bound == "upper bound" else ""
    kind = f"upper bound, {counted(result.draws, 'draw')}" if result.bound == "upper bound" else result.bound
    say(f"{result.name}: {sign}{result.bits_per_byte:.4f} bits per byte ({kind})")
    if result.left_to_right is not None:
        say(f"left to right, the same weights: {result.left_to_right:.4f} bits per byte (exact)")
    if result.bits_per_character is not None:
        say(f"{sign}{result.bits_per_character:.4f} bits per character")
    if result.length_nats:
        lengths = result.length_nats / math.log(2) / result.bytes
        say(f"of these, {lengths:.4f} for the lengths of windows in tokens, which the network is told")
    if result.interval:
        say(f"95 % interval over documents: {result.interval[0]:.4f} to {result.interval[1]:.4f}")
    say(
        f"{counted(result.documents, 'document')}, {counted(result.bytes, 'byte')} of {result.source} ({result.split}, "
        f"fingerprint {result.corpus_fingerprint}), windows of {counted(result.window, 'byte')}"
    )
    note(f"next: unmask compare {shell(run)} OTHER-RUN -o reports/NAME --quick")
