"""Texts of one network and one sampler that are written together: they join and leave between steps.

Each row is its own text: where it stands, how it is written and with what noise, whoever is beside it. So a text that
joins while others are in their middle is the one that it is alone, and so are the others. A step asks the network for
all rows at once; texts are put side by side, and their caches copied, only when some have come or gone.

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.sampling.finished import Sample
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Sampler, check_drives
from unmask.sampling.spent import Ledger, Spent
from unmask.sampling.state import Frame, SamplerState, frame, narrowed, rows, stack, told_again
from unmask.sampling.thought_steps import options_of, passages_of
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

    def sample(self, row: int) -> Sample:
        """Return the text of a row that is done."""
        state, spent = self.state, self.spent
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


@dataclass(frozen=True)
class _Rows:
    """Texts side by side."""

    which: tuple[int, ...]
    state: SamplerState
    past: tuple[Past, ...]

    @cached_property
    def going(self) -> tuple[int, ...]:
        """Those that are not done."""
        return tuple(n for n, done in zip(self.which, self.state.done.tolist(), strict=True) if not done)

    def of(self, numbers: Collection[int]) -> _Rows:
        """Return some of them."""
        stay = [row for row, number in enumerate(self.which) if number in numbers]
        if len(stay) == len(self.which):
            return self
        which, past = (tuple(each[row] for row in stay) for each in (self.which, self.past))
        return _Rows(which, rows(self.state, stay), past)


@dataclass(frozen=True)
class Resting:
    """A text that has left its batch for a while.

    Attributes:
        rows: It.
        spent: What it has cost so far.
        request: What was asked.
    """

    rows: _Rows
    spent: Spent
    request: Request


class Batch:
    """Texts that are being written.

    Args:
        model: A network in eval mode. The states go to its device.
        sampler: An entry of SAMPLERS, constructed.
        vocabulary: The special tokens.
        process: What trained the model (or what is known of it), to be checked; ``None``: the caller has checked.

    Raises:
        Error: a sampler that cannot drive the model.
    """

    def __init__(self, model: Any, sampler: Sampler, vocabulary: Vocabulary, process: Any = None) -> None:
        if process is not None:
            check_drives(sampler.Settings, process)
        self._model, self._sampler, self._vocabulary = model, sampler, vocabulary
        parameter = next(iter(model.parameters()), None) if isinstance(model, torch.nn.Module) else None
        self._device = "cpu" if parameter is None else parameter.device
        self._windows, self._ledger = Windows(model, sampler, vocabulary), Ledger()
        self._parts: list[_Rows] = []
        self._width: dict[int, int] = {}
        self._gone: set[int] = set()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The texts that the next step is of, in the order of their rows."""
        return tuple(number for part in self._parts for number in part.going if number not in self._gone)

    def check(self, requests: Sequence[Request]) -> None:
        """Refuse what cannot be written. No network is asked.

        Raises:
            Error: a canvas longer than the context with given words behind open ones, or longer than a passage of a
                model with thoughts; a thought or vectors that the model does not take.
        """
        options = passages_of(self._model)
        if options is not None and too_long(options, requests):
            longest = max(len(request.tokens) for request in requests)
            raise Error(
                f"a canvas of {longest} tokens does not fit into a passage of {options.passage}, and a trace or a live "
                "canvas shows one passage; ask for fewer tokens, or go without."
            )
        for request in requests:
            self._windows.check(request)
            _check_carried(self._model, request)

    def width(self, request: Request) -> int:
        """Return the positions that a text has in the network's view at most."""
        return self._windows.width(request)

    def join(self, texts: Mapping[int, Request]) -> Tick:
        """Take in texts, by number, and return their opening. They take their first step with the next one.

        Raises:
            Error: settings that the sampler does not use, or a canvas that it cannot write.
        """
        which = tuple(texts)
        if self._gone & texts.keys():
            self._together()  # a number that is used again: what is left of the text that had it goes first
        state, past = self._windows.start(texts, self._device)
        self._parts.append(_Rows(which, state, past))
        self._width |= {number: self._windows.width(request) for number, request in texts.items()}
        whole = whole_frame(frame(state), past, self._vocabulary.pad)
        return Tick(which, state, past, whole, self._ledger.add(which, whole))

    def leave(self, numbers: Collection[int]) -> None:
        """Let texts go, finished or not; they take no further step."""
        self._gone |= set(numbers)

    def take(self, number: int) -> Resting:
        """Take a text out, to be put back when it is to go on."""
        part = next(part for part in self._parts if number in part.which)
        resting = Resting(part.of([number]), self._ledger.of((number,)), self._windows.request(number))
        self.leave([number])
        return resting

    def put(self, resting: Resting) -> None:
        """Put a text back; it takes its next step with the others."""
        (number,) = resting.rows.which
        self._together()  # what is left of it here goes first
        self._windows.keep(number, resting.request)
        self._parts.append(resting.rows)
        self._width[number] = self._windows.width(resting.request)
        self._ledger.go_on((number,), resting.spent)

    def step(self) -> Tick:
        """Take every text one step further. Those that are done with it are gone before the next one.

        Where it raises, nothing has happened: the same step may be taken again, or without some texts.

        Raises:
            Error: there is no text, or as the sampler.
        """
        if not self.numbers:
            raise Error("there is no text to write; let one join first.")
        (before,) = self._together()
        after, told = self._stepped(before)
        self._parts = [after]
        whole = whole_frame(told, before.past, self._vocabulary.pad)
        return Tick(after.which, after.state, after.past, whole, self._ledger.add(after.which, whole))

    def faults(self) -> dict[int, Exception]:
        """Return what the next step of each text raises that cannot take it alone; no step is taken."""
        found: dict[int, Exception] = {}
        for together in self._together():
            for number in together.which:
                try:
                    self._stepped(together.of([number]))
                except Exception as fault:
                    found[number] = fault
        return found

    def _stepped(self, before: _Rows) -> tuple[_Rows, Frame]:
        model, which, past = self._model, before.which, before.past
        stepped, told = self._sampler.step(model, before.state)
        goes_on = self._windows.go_on(which, stepped, past)
        state = completed(model, self._sampler.Settings.shows, stepped, goes_on)
        told = told if state is stepped else told_again(told, stepped, state)
        state, past = self._windows.on(which, state, past)
        return _Rows(which, state, past), told

    def _together(self) -> list[_Rows]:
        """Return the texts of the next step as rows of one state, as wide as the longest; nothing where there are none.

        What was left of others is dropped.
        """
        going = self.numbers
        if len(self._parts) == 1 and going == self._parts[0].which:
            return self._parts
        parts = [part for part in self._parts if set(part.which) & set(going)]
        if parts:
            width = max(self._width[number] for number in going)
            parts = [replace(part, state=narrowed(part.state, width)).of(going) for part in parts]
            which, past = (sum((getattr(part, name) for part in parts), ()) for name in ("which", "past"))
            state = parts[0].state if len(parts) == 1 else stack([part.state for part in parts])
            parts = [_Rows(which, state, past)]
        gone = {number for part in self._parts for number in part.which} - set(going)
        self._windows.forget(gone)
        self._ledger.forget(gone)
        self._parts, self._width = parts, {number: self._width[number] for number in going}
        self._gone.clear()
        return parts


def too_long(options: ThoughtOptions, requests: Sequence[Request]) -> bool:
    """Tell whether a text does not fit into one passage."""
    return any(len(request.tokens) > options.passage for request in requests)


def _check_carried(model: Any, request: Request) -> None:
    """Refuse vectors that the model does not take: beside them no other text could be written either."""
    options, width = options_of(model), getattr(getattr(model, "config", None), "memory_width", None)
    if request.thought is not None:
        given = [tuple(part.shape[1:]) for part in (request.thought.cells, request.thought.stack)]
        sizes = None if options is None else (options.cells, options.stack, options.reduced, options.channels)
        if sizes is None or given != [(sizes[0], sizes[3]), sizes[1:]]:
            takes = "none" if sizes is None else f"{sizes[0]} of {sizes[3]} and {sizes[1]} before it"
            own, before = given
            raise Error(
                f"a thought of {own[0]} cells of {own[1]} numbers is given, with {before[0]} before it, and this run "
                f"takes {takes}."
            )
    if request.memory is not None and width is not None and request.memory.shape[1] != width:
        takes = f"such of {width}" if width else "none"
        raise Error(f"vectors of {request.memory.shape[1]} numbers are given as memory, and this run takes {takes}.")
