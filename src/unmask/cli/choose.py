"""``unmask choose``: which of several options belongs in a place of a text."""

from __future__ import annotations

from typing import Annotated

import typer

from unmask.cli.console import note, print_json, say
from unmask.lines import counted
from unmask.progress_line import ProgressLine


def choose(
    run: Annotated[str, typer.Argument(help="Run folder.")],
    prompt: Annotated[str, typer.Argument(help='Text before the options, or around them: "The ____ barked."')],
    option: Annotated[list[str], typer.Option("--option", help="An option; give two or more.")],
    by: Annotated[
        str,
        typer.Option(help="Of a run that sees both sides: exact, one-call, or auto: exact where options are short."),
    ] = "auto",
    normalise: Annotated[
        str, typer.Option(help="Divide each option's nats by nothing (none: probabilities), its tokens or its bytes.")
    ] = "none",
    calibrated: Annotated[
        bool | None,
        typer.Option("--calibrated/--raw", help="Whether the run's calibration counts; default: where it can."),
    ] = None,
    hole: Annotated[str | None, typer.Option(help="Another sign for the place; underscores are then text.")] = None,
    orders: Annotated[int, typer.Option(help="Random orders that lengths of options are weighed in.")] = 4,
    draws: Annotated[int, typer.Option(help="Network calls behind a bound.")] = 8,
    seed: Annotated[int, typer.Option(help="Of orders and draws.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Weigh options in a place of a text: probabilities that sum to one."""
    from unmask.api.choose import choose as weigh

    with ProgressLine("weighing"):
        result = weigh(
            run,
            prompt,
            option,
            by=by,  # type: ignore[arg-type]  # checked there
            normalise=normalise,  # type: ignore[arg-type]  # checked there
            calibrated=calibrated,
            hole=hole,
            orders=orders,
            draws=draws,
            seed=seed,
        )
    if json:
        print_json(result.to_dict())
        return
    for number in sorted(range(len(option)), key=lambda i: -result.probabilities[i]):
        say(f"{result.probabilities[number]:.4f}  {option[number]}")
    if result.prompt_seen < result.prompt_tokens:
        whole = counted(result.prompt_tokens, "token")
        note(
            f"note: the text before has {whole}, more than the context holds: {result.prompt_seen} are in view, its end"
        )
    how = ", calibrated" if result.calibrated else ""
    by_what = "" if normalise == "none" else f", nats by {normalise}"
    note(f"{result.kind}{how}{by_what}; {counted(result.calls, 'network call')}")
