"""``unmask export``: give a run to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from unmask.cli.console import note, print_json, say
from unmask.lines import counted, shell
from unmask.progress_line import ProgressLine


def export(
    run: Annotated[str, typer.Argument(help="A run folder, or a Hub name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write; new or empty.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            help="hub: for unmask, with a model card; llama: a causal run for transformers; qwen2, qwen3, gpt2 or "
            "modernbert: an imported one.",
        ),
    ] = "hub",
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype", help="What a hub folder's weights are stored as: auto (as they are), fp32, bf16, int8."
        ),
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Write a run as a Hub-ready folder, or as a network that transformers reads alone, such as Llama."""
    from unmask.api.export import export as write

    with ProgressLine("writing"):
        result = write(run, output, format=format, dtype=cast(Literal["auto", "fp32", "bf16", "int8"], dtype))
    if json:
        print_json(result.to_dict())
    else:
        say(
            f"{result.path}: {result.name} as {result.format}, {counted(len(result.files), 'file')}, "
            f"{counted(result.bytes, 'byte')}"
        )
        note(f"README.md is its model card: choose a license there. next: hf upload OWNER/NAME {shell(result.path)}")
