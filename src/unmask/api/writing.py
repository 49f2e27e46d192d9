"""What ``sample`` and ``infill`` share: settings over a recipe's, the sampler's loop with its trace and watcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error, nearest
from unmask.sampling import SAMPLERS, Frame, Request, Sample, Sampler, Settings, Vocabulary, generate, ticks
from unmask.sampling.generate import collect
from unmask.sampling.infill import spaced_tokens
from unmask.sampling.request import refuse_unused
from unmask.sampling.sampler import check_drives
from unmask.sampling.trace import TraceWriter
from unmask.training.run import Run

Watch = Callable[[tuple[int, ...], Frame], None]
"""Called with (numbers of the texts in the rows, frame) at the opening and after each step."""


class SettingsOptions(TypedDict, total=False):
    """The fields of :class:`unmask.sampling.Settings`, as keyword arguments; what is left out comes from the recipe."""

    steps: int | None
    temperature: float | None
    temperature_end: float | None
    top_k: int | None
    top_p: float | None
    repetition_penalty: float | None
    seed: int | None
    ignore_eos: bool | None
    reveal: str | None
    confidence_noise: float | None
    confidence_stop: float | None
    confidence_of: str | None
    entropy_budget: float | None
    error_proxy: str | None
    remask: str | None
    remask_strength: float | None
    remask_start: float | None
    remask_stop: float | None
    remask_hold: float | None
    renoise: str | None
    candidates: int | None


def resolve(run: str | Path | Run, name: str | None, given: Mapping[str, Any]) -> tuple[Run, Sampler, Settings]:
    """Open the run, choose the sampler, and lay the user's settings over the recipe's."""
    known = [f.name for f in fields(Settings)]
    for key in given:
        if key not in known:
            raise Error(f"unknown setting {key!r}.{nearest(key, known)} Settings: {', '.join(known)}.")
    chosen = {key: value for key, value in given.items() if value is not None}
    if name is not None:
        SAMPLERS.get(name)
    Settings(**chosen)  # a setting that cannot work is refused before anything is loaded
    run = run if isinstance(run, Run) else Run.open(run)
    section = run.recipe.sampler
    own = section.name or run.process.sampler
    sampler = SAMPLERS.get(name or own)()
    check_drives(sampler, run.process)
    refuse_unused(sampler.name, sampler.uses, chosen)
    stored: dict[str, Any] = dict(section.model_extra or {})
    if sampler.name == own:
        refuse_unused(sampler.name, sampler.uses, stored)
    defaults = {key: value for key, value in stored.items() if key in sampler.uses}
    return run, sampler, Settings(**{**defaults, **chosen})


def vocabulary_of(tokenizer: Tokenizer, model: Any) -> Vocabulary:
    """Return the special tokens of a run, and which of its tokens begin with a space."""
    spaced = spaced_tokens(tokenizer, model.config.vocab_size)
    return Vocabulary(tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id, spaced)


def write(
    run: Run,
    model: Any,
    sampler: Sampler,
    requests: list[Request],
    vocabulary: Vocabulary,
    batch_size: int,
    trace: str | Path | None,
    watch: Watch | None,
) -> list[Sample]:
    """Run the sampler; tell the trace and the watcher of every frame."""
    if trace is None and watch is None:
        return generate(model, sampler, requests, vocabulary, batch_size=batch_size, visibility=run.process.visibility)
    finished: dict[int, Sample] = {}
    with ExitStack() as stack:
        writer = None
        if trace is not None:
            writer = TraceWriter(trace, sampler.name, requests, run.tokenizer, vocabulary, run.name)
            stack.enter_context(writer)
        for tick in ticks(
            model, sampler, requests, vocabulary, batch_size=batch_size, visibility=run.process.visibility
        ):
            collect(tick, finished)
            if writer is not None:
                writer.write(tick.which, tick.frame)
            if watch is not None:
                watch(tick.which, tick.frame)
    return [finished[i] for i in range(len(requests))]
