"""``unmask demo``: the main job in minutes, offline, on a laptop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import console, note, print_json, say
from unmask.lines import shell

if TYPE_CHECKING:
    from unmask.api.writing import Watch
    from unmask.training.run import Run


def demo(
    output: Annotated[Path, typer.Option("--output", help="Folder for the two trained runs and the report.")] = Path(
        "runs/demo"
    ),
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="Override a key of both recipes: section.key=value.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Watch the model in the box write; then train a left-to-right and a masked model, and compare them."""
    from unmask.api.demo import demo as show
    from unmask.cli.canvas import Canvas
    from unmask.cli.compare import show_result
    from unmask.progress_line import ProgressLine

    @contextmanager
    def watch(run: Run) -> Iterator[Watch]:
        with Canvas(console, lambda i: run.tokenizer.decode_bytes([i])) as canvas:
            yield canvas.show

    note("A trained model writes first; then two small ones learn and are compared. Under four minutes on two cores.")
    with ProgressLine() as line:
        result = show(output, overrides=option or [], say=note, progress=line, watch=watch)
    if json:
        print_json(result.to_dict())
        return
    show_result(result.comparison)
    say(f"report: {result.report}")
    say("next:   unmask sample box --prompt 'Once upon a time' --watch")
    say("        unmask serve box")
    say(f"        unmask infill {shell(result.masked)} 'The ____ was ____.'")
