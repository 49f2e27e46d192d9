"""``unmask infill``: fill the holes of a sentence with a run of the masked process."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from unmask.cli import sample as options
from unmask.cli.canvas import Canvas
from unmask.cli.console import console, note, print_json
from unmask.cli.sample import print_texts


def infill(
    run: Annotated[str, typer.Argument(help="Run folder.")],
    text: Annotated[str, typer.Argument(help='A sentence with holes: "the ____ sat on ____".')],
    length: Annotated[
        str, typer.Option(help="Tokens in a hole, or a range: the lengths are then chosen by likelihood.")
    ] = "1-4",
    hole: Annotated[str | None, typer.Option(help="Another sign for a hole; underscores are then text.")] = None,
    n: options.Number = 1,
    sampler: options.Sampler = None,
    steps: options.Steps = None,
    seed: options.Seed = None,
    temperature: options.Temperature = None,
    temperature_end: options.TemperatureEnd = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    reveal: options.Reveal = None,
    confidence_noise: options.ConfidenceNoise = None,
    confidence_stop: options.ConfidenceStop = None,
    confidence_of: options.ConfidenceOf = None,
    entropy_budget: options.EntropyBudget = None,
    error_proxy: options.ErrorProxy = None,
    remask: options.Remask = None,
    remask_strength: options.RemaskStrength = None,
    remask_start: options.RemaskStart = None,
    remask_stop: options.RemaskStop = None,
    remask_hold: options.RemaskHold = None,
    renoise: options.Renoise = None,
    candidates: options.Candidates = None,
    draws: Annotated[int, typer.Option(help="Network calls that each score is averaged over.")] = 16,
    batch_size: options.BatchSize = 8,
    trace: options.Trace = None,
    watch: options.Watch = False,
    json: options.Json = False,
) -> None:
    """Fill the holes of a sentence. A hole is a run of two or more underscores."""
    from unmask.api.infill import infill as fill
    from unmask.training.run import Run

    opened = Run.open(run)
    with ExitStack() as stack:
        canvas = stack.enter_context(Canvas(console, lambda i: opened.tokenizer.decode_bytes([i]))) if watch else None
        result = fill(
            opened,
            text,
            length=length,
            hole=hole,
            n=n,
            sampler=sampler,
            batch_size=batch_size,
            draws=draws,
            trace=trace,
            watch=canvas.show if canvas else None,
            steps=steps,
            seed=seed,
            temperature=temperature,
            temperature_end=temperature_end,
            top_k=top_k,
            top_p=top_p,
            reveal=reveal,
            confidence_noise=confidence_noise,
            confidence_stop=confidence_stop,
            confidence_of=confidence_of,
            entropy_budget=entropy_budget,
            error_proxy=error_proxy,
            remask=remask,
            remask_strength=remask_strength,
            remask_start=remask_start,
            remask_stop=remask_stop,
            remask_hold=remask_hold,
            renoise=renoise,
            candidates=candidates,
        )
    if json:
        print_json(result.to_dict())
        return
    print_texts(result.texts)
    for lengths, bits in zip(result.lengths, result.bits_per_byte, strict=True):
        note(f"hole lengths {lengths} of {result.tried} tried; {bits:.3f} bits per byte ({result.bound})")
