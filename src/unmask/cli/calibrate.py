"""``unmask calibrate``: fit a run's confidence to how often it is right, and keep the fit in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, printer, say
from unmask.errors import Error, nearest
from unmask.lines import counted, shell
from unmask.progress_line import ProgressLine

if TYPE_CHECKING:
    from unmask.api.calibrate import CalibrateResult
    from unmask.evaluation.calibration import LevelCalibration

_METHODS = ("auto", "none", "temperature", "platt", "isotonic", "head")


def _refuse(given: Parameters) -> None:
    if given["method"] not in _METHODS:
        near = nearest(given["method"], _METHODS)
        raise Error(f"unknown method {given['method']!r}.{near} Choose from {', '.join(_METHODS)}.")


@refused_by(_refuse)
def calibrate(
    run: Annotated[str, typer.Argument(help="A run folder whose words a sampler orders by confidence.")],
    method: Annotated[
        str, typer.Option("--method", help=f"auto: what is best on other documents; or {', '.join(_METHODS[1:])}.")
    ] = "auto",
    source: Annotated[
        str | None, typer.Option("--source", help="Held-out text; default the held-out part of the run's corpus.")
    ] = None,
    documents: Annotated[
        int, typer.Option("--documents", help="Most documents: half fit, a fifth choose, the others measure.")
    ] = 400,
    seed: Annotated[int, typer.Option("--seed", help="Of the documents and of what is hidden.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Make confidence a probability of being right; samplers then use it with -s calibrated=true."""
    from unmask.api.calibrate import calibrate as fit

    with ProgressLine("opening the run") as line:
        found = fit(
            run,
            method=method,
            source=source,
            documents=documents,
            seed=seed,
            progress=line,
        )
    for text in found.notes:
        note(f"note: {text}")
    if json:
        print_json(found.to_dict())
        return
    print_found(found)
    say(found.path)
    note(f"next: unmask sample {shell(found.run)} -s calibrated=true")


def print_found(found: CalibrateResult) -> None:
    """Print which map was chosen, and confidence against being right before and after."""
    from rich.table import Table

    tried = ", ".join(f"{one.method} {one.brier:.4f}" for one in found.tried)
    say(f"{found.name}: {found.method} (Brier score on {counted(found.documents['choose'], 'document')}: {tried})")
    table = Table(box=None, pad_edge=False)
    for name in (
        "states",
        "open",
        "positions",
        "right",
        "ECE",
        "after",
        "by chance",
        "Brier",
        "after",
        "AUROC",
        "after",
    ):
        table.add_column(name, justify="left" if name in ("states", "open") else "right", no_wrap=True)
    for one in found.measured:
        levels = zip(one.before.levels, one.after.levels, strict=True) if one.states == "forced" else ()
        for before, after in [*levels, (one.before.overall, one.after.overall)]:
            if before.scores is not None and after.scores is not None:
                table.add_row(one.states, before.name, *_cells(before, after))
    printer(140).print(table)
    first = found.measured[0]
    if first.cut is not None:
        say(f"ECE on {first.states} states: {first.cut:.0%} less, on {counted(found.documents['measure'], 'document')}")


def _cells(before: LevelCalibration, after: LevelCalibration) -> list[str]:
    assert before.scores is not None and after.scores is not None and before.accuracy is not None
    pairs = [
        value for name in ("brier", "auroc") for value in (getattr(before.scores, name), getattr(after.scores, name))
    ]
    ece = [before.scores.ece, after.scores.ece, after.ece_floor]
    return [f"{before.positions:,}", f"{before.accuracy:.3f}", *("-" if v is None else f"{v:.4f}" for v in ece + pairs)]
