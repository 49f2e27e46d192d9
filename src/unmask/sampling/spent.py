"""What each position of a text cost: the step that decided it, and the network calls that it stood open in.

Counted from frames, so it is known of every sampler and of every trace that tells calls. A word that was taken back
counts on; its step is the last one that decided it.

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.diffusion.carried import picked
from unmask.sampling.state import Frame


@dataclass(frozen=True)
class Spent:
    """What some texts have cost so far.

    Attributes:
        decided: The step that decided each position, 0: it was given or is open.
        looks: Network calls that it stood open in, in a block that had begun; all 0 where calls are not known.
        open: Positions that are undecided.
        forwards: Network calls so far.
    """

    decided: Int[Tensor, "B T"]
    looks: Int[Tensor, "B T"]
    open: Bool[Tensor, "B T"]
    forwards: Int[Tensor, " B"]


class Ledger:
    """Counts what texts spend, frame by frame. A frame need not have all texts, and some begin while others go on."""

    def __init__(self) -> None:
        self._which: tuple[int, ...] = ()
        self._spent: Spent | None = None

    def add(self, which: tuple[int, ...], frame: Frame) -> Spent:
        """Return what the texts in the rows of a frame have cost, this step among it; new ones begin with it."""
        before, spent = self._of(which, frame), _nothing(frame)
        calls = spent.forwards
        if before is not None:
            decides = frame.changed & frame.committed
            there = frame.valid | frame.changed  # not the padding of a text whose batch mates are longer
            looked = (calls - before.forwards)[:, None] * (before.open & there & ~_later(frame))
            decided = torch.where(decides, frame.step[:, None], before.decided.masked_fill(~frame.committed, 0))
            spent = Spent(decided, before.looks + looked, ~frame.committed, calls)
        self.go_on(which, spent)
        return spent

    def of(self, which: tuple[int, ...]) -> Spent:
        """Return what some texts have cost."""
        assert self._spent is not None
        index = [self._which.index(number) for number in which]
        return picked(self._spent, torch.tensor(index, device=self._spent.open.device))

    def go_on(self, which: tuple[int, ...], spent: Spent) -> None:
        """Count on from what some texts have cost, beside those there are."""
        others = () if which == self._which else tuple(number for number in self._which if number not in which)
        if others:
            old = self.of(others)
            width = max(old.open.shape[1], spent.open.shape[1])
            each = [_as_wide(one, width) for one in (spent, old)]
            spent = Spent(*(torch.cat([getattr(one, f.name) for one in each]) for f in fields(Spent)))
        self._which, self._spent = (*which, *others), spent

    def forget(self, numbers: Collection[int]) -> None:
        """Let go of texts."""
        stay = tuple(number for number in self._which if number not in numbers)
        if stay != self._which:
            self._which, self._spent = stay, self.of(stay) if stay else None

    def _of(self, which: Sequence[int], frame: Frame) -> Spent | None:
        """Return what was spent before a frame, in its rows and as wide; ``None``: they begin with it."""
        if self._spent is None or not set(which) <= set(self._which):
            return None
        return _as_wide(self._spent if which == self._which else self.of(which), frame.tokens.shape[1])


def _nothing(frame: Frame) -> Spent:
    none = torch.zeros_like(frame.tokens)
    calls = torch.zeros_like(frame.step) if frame.forwards is None else frame.forwards
    return Spent(none, none, ~frame.committed, calls)


def _as_wide(spent: Spent, width: int) -> Spent:
    room = (0, width - spent.open.shape[1])
    if not room[1]:
        return spent
    return Spent(pad(spent.decided, room), pad(spent.looks, room), pad(spent.open, room, value=True), spent.forwards)


def _later(frame: Frame) -> Bool[Tensor, "B T"]:
    """Return the positions of blocks that had not begun in the step that a frame shows."""
    if frame.block is None:
        return torch.zeros_like(frame.valid)
    column = torch.arange(frame.valid.shape[1], device=frame.valid.device)
    return column >= frame.block[:, 1:]
