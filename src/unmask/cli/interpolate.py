"""``unmask thoughts interpolate``: write texts from the thoughts between two texts."""

from __future__ import annotations

from typing import Annotated

import typer

from unmask.cli import sample as options
from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, say
from unmask.cli.settings import How, writes
from unmask.cli.thought_file import Run
from unmask.errors import Error
from unmask.lines import counted
from unmask.progress_line import ProgressLine

_END = "A text, or a thought file (.safetensors)."
MaxTokens = Annotated[int | None, typer.Option(help="Most tokens to write; default: what one passage has room for.")]
Prompt = Annotated[str, typer.Option(help="Text that all texts begin with.")]


def _refuse(given: Parameters) -> None:
    path = given["path"]
    if path not in ("spherical", "linear"):
        raise Error(f"path is {path!r}; choose spherical or linear.")


@refused_by(_refuse)
@writes
def interpolate(
    *,
    run: Run,
    a: Annotated[str, typer.Argument(help=_END)],
    b: Annotated[str, typer.Argument(help=_END)],
    points: Annotated[int, typer.Option(help="How many blends, the ends among them.")] = 7,
    path: Annotated[str, typer.Option(help="spherical (equal angles) | linear (the same arc at another pace).")] = (
        "spherical"
    ),
    noise: Annotated[float, typer.Option(help="Share of noise that each blend begins with, 0 to 1.")] = 0.5,
    prompt: Prompt = "",
    max_tokens: MaxTokens = None,
    n: Annotated[int, typer.Option("-n", "--n", help="Texts at each point.")] = 4,
    topic: Annotated[bool, typer.Option("--topic", help="Measure closeness by static embeddings, too.")] = False,
    how: How,
    batch_size: options.BatchSize = 8,
    json: options.Json = False,
) -> None:
    """Blend the thoughts of two texts, and denoise the blends along with new words."""
    from unmask.api.interpolate import thoughts_interpolate

    with ProgressLine("opening the run") as line:
        result = thoughts_interpolate(
            run,
            a,
            b,
            points=points,
            path="linear" if path == "linear" else "spherical",
            noise=noise,
            prompt=prompt,
            max_tokens=max_tokens,
            n=n,
            topic=topic,
            batch_size=batch_size,
            progress=line,
            **how,
        )
    if json:
        print_json(result.to_dict())
        return
    names = ["thought", "words", *(["topic"] if topic else [])]
    head = "  ".join(f"{name + ': A':>10} {'B':>6}" for name in names)
    say(f"{'to B':>8}  {head}  text")
    for point in [*result.points, result.random]:
        at = "random" if point.share is None else f"{point.share:.2f}"
        ends = point.to_a.to_dict(), point.to_b.to_dict()
        cells = "  ".join(f"{ends[0][name]:>10.3f} {ends[1][name]:>6.3f}" for name in names)
        say(f"{at:>8}  {cells}  {' '.join(point.texts[0].split())}")
    between = result.ends.to_dict()
    told = ", ".join(f"{name} {between[name]:.3f}" for name in names)
    note(
        f"A and B themselves: {told}. Means of {counted(n, 'text')}; the first is shown. random: each from a "
        "random thought."
    )
