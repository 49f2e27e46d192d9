"""``unmask plot``: pictures of a run, as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import note, print_json, say
from unmask.cli.outputs import Force
from unmask.progress_line import ProgressLine


def plot(
    run: Annotated[str, typer.Argument(help="A run folder, or a Hub name.")],
    text: Annotated[
        str | None,
        typer.Option("--text", help="A file or a text to cut into patches; default held-out text of the run's corpus."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Folder for the pictures; default RUN/plots.")] = None,
    force: Force = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Draw a run: how it trained; of backbone bytes also its patches, and of latent wubu its nested levels."""
    from unmask.api.plot import plot as draw

    with ProgressLine("drawing"):
        found = draw(run, text=text, output=output)
    if found.text:
        note(f"text: {found.text}")
    for why in dict.fromkeys(found.missing.values()):
        note(f"no {', '.join(name for name, each in found.missing.items() if each == why)}: {why}")
    if json:
        print_json(found.to_dict())
        return
    for path in found.files:
        say(path)
