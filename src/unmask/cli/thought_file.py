"""``unmask thoughts save`` and ``resume``: keep a thought, and take it up again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli import sample as options
from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, say
from unmask.cli.sample import print_texts
from unmask.cli.settings import How, writes
from unmask.errors import Error
from unmask.lines import counted, shell
from unmask.progress_line import ProgressLine

Run = Annotated[str, typer.Argument(help="Run folder with thoughts.")]


def _refuse(given: Parameters) -> None:
    if (given["text"] is None) == (given["prompt_file"] is None):
        raise Error("give the text to read: --text TEXT, or --prompt-file FILE.")


@refused_by(_refuse)
def save(
    run: Run,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to keep it in: NAME.safetensors.")],
    text: Annotated[str | None, typer.Option(help="What is read into a thought.")] = None,
    prompt_file: Annotated[Path | None, typer.Option(help="A file with the text instead (UTF-8).")] = None,
    json: options.Json = False,
) -> None:
    """Read a text into a thought, and keep it in a file."""
    from unmask.api.thought_file import thoughts_save

    if prompt_file is not None:
        try:
            text = prompt_file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise Error(f"{prompt_file} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    assert text is not None
    result = thoughts_save(run, text, output)
    if json:
        print_json(result.to_dict())
        return
    shape = " x ".join(map(str, result.shape))
    say(
        f"{result.path}  {counted(result.tokens, 'token')}  {counted(result.passages, 'finished passage')}  "
        f"thought {shape}"
    )
    note(f"next: unmask thoughts resume {shell(run)} {shell(output)}")


@writes
def resume(
    *,
    run: Run,
    file: Annotated[Path, typer.Argument(help="A thought file.")],
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens to write; default: one passage.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Keep the longer text's thought, too.")] = None,
    n: options.Number = 1,
    how: How,
    batch_size: options.BatchSize = 8,
    json: options.Json = False,
) -> None:
    """Go on with a text from its kept thought, as if it had not been left."""
    from unmask.api.thought_file import thoughts_resume

    with ProgressLine("opening the run") as line:
        result = thoughts_resume(
            run,
            file,
            max_tokens=max_tokens,
            output=output,
            n=n,
            batch_size=batch_size,
            progress=line,
            **how,
        )
    if json:
        print_json(result.to_dict())
    else:
        print_texts(result.texts)
