"""What ``sample`` and ``infill`` share: settings over a recipe's, the sampler's loop with its trace and watcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from unmask.api.settings import Setting as Setting
from unmask.api.settings import choose
from unmask.data.tokenizers import Tokenizer
from unmask.progress import Counter, Tell
from unmask.sampling import SAMPLERS, Frame, Request, Sample, Sampler, Settings, Vocabulary, generate, ticks
from unmask.sampling.infill import spaced_tokens
from unmask.sampling.loop import collect, tell
from unmask.sampling.result_cache import answered
from unmask.sampling.trace import TraceWriter
from unmask.training.run import Run

Watch = Callable[[tuple[int, ...], Frame], None]
"""Called with (numbers of the texts in the rows, frame) at the opening and after each step."""


def resolve(
    run: str | Path | Run, name: str | None, given: Mapping[str, Any], *, preset: bool = False
) -> tuple[Run, Sampler, Settings]:
    """Return what :func:`unmask.api.settings.choose` does, the sampler made."""
    run, settings = choose(run, name, given, preset=preset)
    return run, SAMPLERS.get(settings.name)(), settings


def vocabulary_of(tokenizer: Tokenizer, model: Any) -> Vocabulary:
    """Return the special tokens of a run, and which of its tokens begin with a space."""
    spaced = spaced_tokens(tokenizer, model.config.vocab_size)
    return replace(tokenizer.vocabulary, spaced=spaced)


def words_told(
    progress: Tell, run: Run, requests: Sequence[Request], vocabulary: Vocabulary, place: tuple[int, int] = (1, 1)
) -> Callable[[int], None]:
    """Return what is called with how many words more of some requests have been written, and tells where that stands.

    Args:
        progress: Is told.
        run: Who writes.
        requests: All that is written.
        vocabulary: The special tokens.
        place: The stage's number from 1, and how many there are.
    """
    total = sum(request.tokens.count(vocabulary.mask) for request in requests)
    counter = Counter("writing", progress, unit="tokens", what=run.name, place=place)
    return lambda more: counter.add(more, total)


def write(
    run: Run,
    model: Any,
    sampler: Sampler,
    requests: list[Request],
    vocabulary: Vocabulary,
    batch_size: int,
    trace: str | Path | None,
    watch: Watch | None,
    progress: Callable[[int], None] | None = None,
) -> list[Sample]:
    """Run the sampler; tell the trace and the watcher of every frame, and how many words more have been written.

    A run with a cache (:func:`unmask.load`) takes from it what was written before, unless somebody watches.
    """
    if trace is None and watch is None:

        def anew(asked: list[Request]) -> list[Sample]:
            return generate(
                model, sampler, asked, vocabulary, batch_size=batch_size, process=run.process, progress=progress
            )

        usual = sampler == SAMPLERS.get(sampler.Settings.name)()  # else its texts depend on more: on a verifier
        return answered(run.cache if usual else None, run.path, model, requests, anew)
    finished: dict[int, Sample] = {}
    written: dict[int, int] = {}
    with ExitStack() as stack:
        writer = None
        if trace is not None:
            writer = TraceWriter(trace, sampler.Settings.name, requests, run.tokenizer, vocabulary, run.name)
            stack.enter_context(writer)
        for tick in ticks(model, sampler, requests, vocabulary, batch_size=batch_size, process=run.process):
            collect(tick, finished)
            if writer is not None:
                writer.write(tick.which, tick.frame)
            if watch is not None:
                watch(tick.which, tick.frame)
            if progress is not None:
                tell(tick, written, progress)
    return [finished[i] for i in range(len(requests))]
