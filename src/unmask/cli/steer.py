"""``unmask thoughts steer``: push thoughts towards a property, and show what it costs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from unmask.cli import sample as options
from unmask.cli.console import note, print_json, say
from unmask.cli.interpolate import MaxTokens, Prompt
from unmask.cli.settings import How, writes
from unmask.cli.thought_file import Run
from unmask.errors import Error
from unmask.lines import counted
from unmask.progress_line import ProgressLine


@writes
def steer(
    *,
    run: Run,
    keywords: Annotated[str, typer.Option(help="Say one of these words (commas between them).")] = "",
    toward: Annotated[str | None, typer.Option(help="Think like this text, or thought file (.safetensors) ...")] = None,
    away: Annotated[
        str | None, typer.Option(help="... rather than like this; default: the mean of unsteered texts.")
    ] = None,
    strength: Annotated[
        str, typer.Option(help="Length of a push, in units of the thought; several with commas make a table.")
    ] = "0.5",
    schedule: Annotated[str, typer.Option(help="constant | early | late: when the push is strong.")] = "constant",
    where: Annotated[str, typer.Option(help="both | cells | belief: what is pushed.")] = "both",
    prompt: Prompt = "",
    max_tokens: MaxTokens = None,
    n: Annotated[int, typer.Option("-n", "--n", help="Texts of each row.")] = 16,
    directions: Annotated[int, typer.Option(help="Random directions that the control's texts are dealt to.")] = 4,
    judge: Annotated[str | None, typer.Option(help="A causal run that tells how likely the texts are.")] = None,
    how: How,
    batch_size: options.BatchSize = 8,
    json: options.Json = False,
) -> None:
    """Write texts pushed towards a property, beside unsteered ones and ones pushed as hard anywhere."""
    strengths = _numbers(strength)
    chosen: dict[str, Any] = {"schedule": schedule, "where": where}
    from unmask.api.steer import thoughts_steer

    with ProgressLine("opening the run") as line:
        result = thoughts_steer(
            run,
            keywords=keywords.split(",") if keywords else (),
            toward=toward,
            away=away,
            strengths=strengths,
            **chosen,
            prompt=prompt,
            max_tokens=max_tokens,
            n=n,
            directions=directions,
            judge=judge,
            batch_size=batch_size,
            progress=line,
            **how,
        )
    if json:
        print_json(result.to_dict())
        return
    say(f"{'':<10} {'strength':>8} {'share':>6} {'95 %':>14} {'repeated':>8} {'distinct':>8} {'judge':>6}  text")
    for row in result.rows:
        span = "" if row.interval is None else f"{row.interval[0]:.2f} to {row.interval[1]:.2f}"
        bits = "" if row.judge is None else f"{row.judge:.3f}"
        counts = f"{row.quality.repeated_4:>8.3f} {row.quality.distinct_2:>8.3f}"
        shown = " ".join(row.texts[0].split())
        say(f"{row.kind:<10} {row.strength:>8g} {row.share:>6.2f} {span:>14} {counts} {bits:>6}  {shown}")
    note(
        f"share of {counted(n, 'text')} with the property: {result.property}. repeated 4-grams, distinct pairs "
        "of words."
    )


def _numbers(text: str) -> list[float]:
    """Read numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise Error(f"strength {text!r} is no number, nor several with commas between them.") from error
