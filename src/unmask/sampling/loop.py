"""``generate`` and ``frames``: thin loops over a sampler's start and step, in batches whose finished rows leave.

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.sampling.finished import Sample
from unmask.sampling.passages import write_passages
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Sampler, check_drives
from unmask.sampling.spent import Ledger, Spent
from unmask.sampling.state import Frame, SamplerState, frame, rows, told_again
from unmask.sampling.thought_steps import passages_of
from unmask.sampling.whole import Past, whole_frame, whole_state
from unmask.sampling.whole_characters import completed
from unmask.sampling.windows import Windows


@dataclass(frozen=True)
class Tick:
    """A moment of a batch.

    Attributes:
        which: The requests that its rows are.
        window: Their state; of texts longer than the context that of the windows that are being written.
        past: What lies before these.
        frame: The frame of the whole texts.
        spent: What the whole texts have cost so far.
    """

    which: tuple[int, ...]
    window: SamplerState
    past: tuple[Past, ...]
    frame: Frame
    spent: Spent

    @cached_property
    def state(self) -> SamplerState:
        """The state of the whole texts, to be read."""
        return whole_state(self.window, self.past)

    @property
    def written(self) -> list[int]:
        """Words that each text has got so far."""
        mine = self.window.valid & ~self.window.open & ~self.window.fixed
        return [len(p.tokens) - p.given + n for p, n in zip(self.past, mine.sum(1).tolist(), strict=True)]


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
    if process is not None:
        check_drives(sampler.Settings, process)
    longest = max((len(r.tokens) for r in requests), default=0)
    options = passages_of(model)
    if options is not None and too_long(options, requests):
        raise Error(
            f"a canvas of {longest} tokens does not fit into a passage of {options.passage}, and a trace or a live "
            "canvas shows one passage; ask for fewer tokens, or go without."
        )
    parameter = next(iter(model.parameters()), None) if isinstance(model, torch.nn.Module) else None
    device = "cpu" if parameter is None else parameter.device

    windows, ledger = Windows(model, sampler, requests, vocabulary), Ledger()
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].tokens))
    for first in range(0, len(order), batch_size):
        which = tuple(order[first : first + batch_size])
        state, past = windows.start(which, device)
        whole = whole_frame(frame(state), past, vocabulary.pad)
        yield Tick(which, state, past, whole, ledger.add(which, whole))
        while True:
            gone = state.done if leave is None else state.done | leave(which, whole_state(state, past))
            if bool(gone.all()):
                break
            if bool(gone.any()):
                stay = (~gone).nonzero()[:, 0]
                state = rows(state, stay)
                which, past = (tuple(each[i] for i in stay.tolist()) for each in (which, past))
            (stepped, now), before = sampler.step(model, state), past
            state = completed(model, sampler.Settings.shows, stepped, windows.go_on(which, stepped, past))
            now = now if state is stepped else told_again(now, stepped, state)
            state, past = windows.on(which, state, past)
            whole = whole_frame(now, before, vocabulary.pad)
            yield Tick(which, state, past, whole, ledger.add(which, whole))


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


def too_long(options: ThoughtOptions, requests: Sequence[Request]) -> bool:
    """Tell whether a text does not fit into one passage."""
    return any(len(request.tokens) > options.passage for request in requests)


def collect(tick: Tick, finished: dict[int, Sample]) -> None:
    """Add the rows that are done at this moment to ``finished``, by request number."""
    for row in tick.window.done.nonzero()[:, 0].tolist():
        finished[tick.which[row]] = _sample(tick.state, tick.spent, row)


def _sample(state: SamplerState, spent: Spent, row: int) -> Sample:
    valid = state.valid[row]
    place = valid.nonzero()[:, 0]
    tokens, confidence = state.tokens[row][valid], state.confidence[row][valid]
    given = state.fixed[row][valid]
    end = tokens == state.vocabulary.eos
    return Sample(
        tokens=tuple(tokens.tolist()),
        written=tuple(tokens[~given & ~end].tolist()),
        decided=tuple(spent.decided[row][place].tolist()),
        looks=tuple(spent.looks[row][place].tolist()),
        confidence=tuple(confidence.tolist()),
        sure=tuple(confidence[~given & ~end].tolist()),
        ended=bool((end & ~given).any()),
        steps=int(state.step[row]),
        forwards=int(state.forwards[row]),
        checked=None if state.checks is None else state.checks.of_row(row, valid),
    )
