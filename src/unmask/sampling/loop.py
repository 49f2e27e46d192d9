"""``generate`` and ``frames``: thin loops over the steps of batches (:mod:`unmask.sampling.batch`), one after another.

Letters: B rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from unmask.errors import Error
from unmask.sampling.batch import Batch, Tick, too_long
from unmask.sampling.finished import Sample
from unmask.sampling.passages import write_passages
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Sampler
from unmask.sampling.state import Frame, SamplerState
from unmask.sampling.thought_steps import passages_of


def ticks(
    model: Any,
    sampler: Sampler,
    requests: Sequence[Request],
    vocabulary: Vocabulary,
    *,
    batch_size: int = 8,
    process: Any = None,
    leave: Callable[[tuple[int, ...], SamplerState], Bool[Tensor, " B"]] | None = None,
) -> Iterator[Tick]:
    """Yield every moment: the opening of each batch, then each step. The base of ``generate`` and ``frames``.

    Requests of like length share a batch, so that little is padded; no result depends on it. A text longer than the
    context is written window by window (:mod:`unmask.sampling.windows`), and each moment has the whole of it.

    Args:
        model: A network in eval mode. The state goes to its device.
        sampler: An entry of SAMPLERS, constructed.
        requests: What to write.
        vocabulary: The special tokens.
        batch_size: Most rows in one network call.
        process: What trained the model (or what is known of it), to be checked; ``None``: the caller has checked.
        leave: Asked between steps, with the requests' numbers and their state, which rows leave unfinished.

    Raises:
        Error: a sampler that cannot drive the model, unused settings, a canvas longer than the context with given words
            behind open ones.
    """
    if batch_size < 1:
        raise Error(f"batch_size is {batch_size}; it must be at least 1.")
    batch = Batch(model, sampler, vocabulary, process)
    batch.check(requests)
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].tokens))
    for first in range(0, len(order), batch_size):
        tick = batch.join({number: requests[number] for number in order[first : first + batch_size]})
        yield tick
        while True:
            if leave is not None:
                gone = leave(tick.which, tick.state).tolist()
                batch.leave([number for number, goes in zip(tick.which, gone, strict=True) if goes])
            if not batch.numbers:
                break
            tick = batch.step()
            yield tick


def generate(
    model: Any,
    sampler: Sampler,
    requests: Sequence[Request],
    vocabulary: Vocabulary,
    *,
    batch_size: int = 8,
    process: Any = None,
    progress: Callable[[int], None] | None = None,
) -> list[Sample]:
    """Return the finished texts in the order of the requests. Arguments and errors: :func:`ticks`.

    A model with passages writes a longer text passage by passage. ``progress`` is called after each step with how many
    words more have been written; fewer than none where some were taken back.
    """
    options = passages_of(model)
    if options is not None and too_long(options, requests):

        def write(part: list[Request]) -> list[Sample]:
            return generate(model, sampler, part, vocabulary, batch_size=batch_size, process=process, progress=progress)

        return write_passages(model, options, requests, vocabulary, write)
    finished: dict[int, Sample] = {}
    written: dict[int, int] = {}
    for tick in ticks(model, sampler, requests, vocabulary, batch_size=batch_size, process=process):
        collect(tick, finished)
        if progress is not None:
            tell(tick, written, progress)
    return [finished[i] for i in range(len(requests))]


def tell(tick: Tick, written: dict[int, int], progress: Callable[[int], None]) -> None:
    """Tell how many words more than in ``written``, by request number, a moment's texts have."""
    now = dict(zip(tick.which, tick.written, strict=True))
    progress(sum(count - written.get(number, 0) for number, count in now.items()))
    written.update(now)


def frames(
    model: Any,
    sampler: Sampler,
    requests: Sequence[Request],
    vocabulary: Vocabulary,
    *,
    batch_size: int = 8,
    process: Any = None,
) -> Iterator[tuple[tuple[int, ...], Frame]]:
    """Yield (numbers of the requests in the rows, frame) step by step. Arguments and errors: :func:`ticks`."""
    for tick in ticks(model, sampler, requests, vocabulary, batch_size=batch_size, process=process):
        yield tick.which, tick.frame


def collect(tick: Tick, finished: dict[int, Sample]) -> None:
    """Add the rows that are done at this moment to ``finished``, by request number."""
    for row in tick.window.done.nonzero()[:, 0].tolist():
        finished[tick.which[row]] = tick.sample(row)
