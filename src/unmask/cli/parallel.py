"""``unmask thoughts parallel``: think several thoughts at once, and keep the best or their blend."""

from __future__ import annotations

from typing import Annotated

import typer

from unmask.cli import sample as options
from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, say
from unmask.cli.settings import How, writes
from unmask.cli.thought_file import Run
from unmask.errors import Error
from unmask.progress_line import ProgressLine


def _refuse(given: Parameters) -> None:
    by = given["by"]
    if by not in ("bound", "confidence"):
        raise Error(f"by is {by!r}; choose bound or confidence.")


@refused_by(_refuse)
@writes
def parallel(
    *,
    run: Run,
    prompt: Annotated[str, typer.Option(help="Text before what is written, of any length.")] = "",
    hypotheses: Annotated[int, typer.Option(help="How many.")] = 4,
    blend: Annotated[bool, typer.Option("--blend", help="Blend their thoughts, and write once more.")] = False,
    noise: Annotated[float, typer.Option(help="Share of noise that the blend begins with, 0 to 1.")] = 0.5,
    sharpness: Annotated[float, typer.Option(help="How much better scores count in the blend; 0: all alike.")] = 10.0,
    by: Annotated[str, typer.Option(help="bound (likelihood a byte) | confidence: what scores.")] = "bound",
    draws: Annotated[int, typer.Option(help="Network calls that a likelihood is averaged over.")] = 16,
    max_tokens: Annotated[
        int | None, typer.Option(help="Most tokens to write; default: what the passage has room for.")
    ] = None,
    how: How,
    batch_size: options.BatchSize = 8,
    json: options.Json = False,
) -> None:
    """Write the rest of a passage from several thoughts side by side; keep the best, or write it from their blend."""
    from unmask.api.parallel import thoughts_parallel

    with ProgressLine("opening the run") as line:
        result = thoughts_parallel(
            run,
            prompt,
            hypotheses=hypotheses,
            blend=blend,
            noise=noise,
            sharpness=sharpness,
            by="confidence" if by == "confidence" else "bound",
            draws=draws,
            max_tokens=max_tokens,
            batch_size=batch_size,
            progress=line,
            **how,
        )
    if json:
        print_json(result.to_dict())
        return
    unit = "bits per byte, negated" if result.by == "bound" else "mean log-confidence"
    for number, one in enumerate(result.hypotheses, 1):
        sign = "*" if number - 1 == result.best and result.blended is None else " "
        note(f"{sign} [{number}] {one.score:.3f}  weight {one.weight:.2f}  {' '.join(one.completion.split())}")
    if result.blended is not None:
        note(f"* blend {result.blended.score:.3f}")
    note(f"scores: {unit} ({result.bound}); their mean, as of one text taken at random: {result.mean:.3f}")
    say(result.text)
