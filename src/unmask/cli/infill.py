"""``unmask infill``: fill the holes of a sentence with a run of the masked process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer

from unmask.cli import sample as options
from unmask.cli.canvas import Canvas
from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import console, note, print_json
from unmask.cli.sample import print_texts
from unmask.cli.settings import How, UsePreset, told, writes
from unmask.progress_line import ProgressLine


def _refuse(given: Parameters) -> None:
    from unmask.sampling.holes import parse_holes, parse_length

    parse_holes(given["text"], given["hole"])
    parse_length(given["length"])
    options.watching(given["watch"], given["watch_speed"])
    options.check_verifier(given)


@refused_by(_refuse)
@writes
def infill(
    *,
    run: Annotated[str, typer.Argument(help="Run folder.")],
    text: Annotated[str, typer.Argument(help='A sentence with holes: "the ____ sat on ____".')],
    length: Annotated[
        str, typer.Option(help="Tokens in a hole, or a range: lengths are then chosen, all being alike beforehand.")
    ] = "1-4",
    length_by: Annotated[
        str,
        typer.Option(help="Lengths of a range: draw by their probability given the text around, or likeliest."),
    ] = "draw",
    orders: Annotated[int, typer.Option(help="Random orders of that text that the probabilities average over.")] = 4,
    hole: Annotated[str | None, typer.Option(help="Another sign for a hole; underscores are then text.")] = None,
    n: options.Number = 1,
    how: How,
    preset: UsePreset = True,
    draws: Annotated[int, typer.Option(help="Network calls that bits per byte are averaged over.")] = 16,
    batch_size: options.BatchSize = 8,
    trace: options.Trace = None,
    watch: options.Watch = False,
    watch_speed: options.WatchSpeed = None,
    verifier: options.Verifier = None,
    verify: options.Verify = None,
    words: Annotated[
        list[str] | None,
        typer.Option(help="What a hole may become: words with commas between; one option a hole, empty: anything."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Fill the holes of a sentence. A hole is a run of two or more underscores."""
    from unmask.api.infill import infill as fill
    from unmask.training.run import Run

    speed = options.watching(watch, watch_speed)
    opened = Run.open(run)
    with ExitStack() as stack:
        drawn = Canvas(console, lambda i: opened.tokenizer.decode_bytes([i]), speed) if watch else None
        canvas = stack.enter_context(drawn) if drawn else None
        line = ProgressLine("filling")
        if drawn is None:
            stack.enter_context(line)
        result = fill(
            opened,
            text,
            length=length,
            length_by=length_by,  # type: ignore[arg-type]  # checked there
            orders=orders,
            hole=hole,
            n=n,
            preset=preset,
            batch_size=batch_size,
            draws=draws,
            trace=trace,
            watch=canvas.show if canvas else None,
            progress=line,
            verifier=verifier,
            verify=verify,
            words=words and [own.split(",") if own else None for own in words],
            **how,
        )
    options.print_checked(result.checked)
    told(result.preset)
    if json:
        print_json(result.to_dict())
        return
    _print_filled(result.texts, result.fills, text, hole)
    for lengths, bits in zip(result.lengths, result.bits_per_byte, strict=True):
        p = result.probabilities[result.layouts.index(lengths)]
        note(f"hole lengths {lengths} (p {p:.2f} of {result.tried} tried); {bits:.3f} bits per byte ({result.bound})")


def _print_filled(texts: Sequence[str], fills: Sequence[Sequence[str]], holes: str, hole: str | None) -> None:
    """Print filled texts; a terminal shows in bold what was written, elsewhere a note on stderr marks it."""
    from rich.console import Console
    from rich.text import Text

    from unmask.data.visible import visible
    from unmask.sampling.holes import parse_holes

    pieces = parse_holes(holes, hole)
    out = Console(highlight=False)
    styled = sys.stdout.isatty() and not out.is_dumb_terminal
    if not styled:
        print_texts(list(texts))
    for number, written in enumerate(fills, 1):
        lead = f"[{number}] " if len(texts) > 1 else ""
        if styled:
            parts = [Text(lead + visible(pieces[0]))]
            for fill, piece in zip(written, pieces[1:], strict=True):
                parts += [Text(visible(fill), "bold underline green"), Text(visible(piece))]
            out.print(Text.assemble(*parts), soft_wrap=True)
        else:
            told = "".join(f"[{fill}]{piece}" for fill, piece in zip(written, pieces[1:], strict=True))
            note(f"filled: {lead}{pieces[0]}{told}")
