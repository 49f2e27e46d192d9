"""Where a comparison stands: its stage, what is being measured, how much is done, and the seconds left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """What is told while a comparison runs.

    Attributes:
        stage: ``scoring``, ``timing`` and so on.
        number: Of the stage, from 1.
        stages: How many there are.
        what: What is being measured.
        done: Items of this stage that are done.
        total: Items of this stage.
        share: Share of the stage's work that is done, 0 to 1.
        left: Seconds until the stage is done, by its own pace so far; ``None`` before there is one.
    """

    stage: str
    number: int
    stages: int
    what: str
    done: int
    total: int
    share: float
    left: float | None


Tell = Callable[[Progress], None]


class Stage:
    """One stage, told as it goes.

    Args:
        name: Its name.
        place: Its number from 1, and how many stages there are.
        weights: Work of each item, in any unit.
        tell: Called with every change.
    """

    def __init__(self, name: str, place: tuple[int, int], weights: Sequence[float], tell: Tell) -> None:
        self._name, self._place, self._tell = name, place, tell
        self._weights = list(weights)
        self._done, self._what = 0, ""
        self._before = 0.0  # work of the items that are done
        self._kept = 0.0  # the part of it that an earlier call had done
        self._began = time.monotonic()

    def item(self, what: str, *, kept: bool = False) -> None:
        """Begin the next item; ``kept``: it is here already."""
        self._what = what
        self._is_kept = kept
        self.inside(0.0)

    def inside(self, share: float) -> None:
        """Tell what share of the item is done."""
        work = self._before + self._weights[self._done] * min(max(share, 0.0), 1.0)
        self._told(work)

    def finish(self) -> None:
        """End the item."""
        weight = self._weights[self._done]
        self._before += weight
        self._kept += weight * self._is_kept
        self._done += 1
        self._told(self._before)

    def _told(self, work: float) -> None:
        whole, fresh = sum(self._weights), work - self._kept
        left = None if fresh <= 0 else (time.monotonic() - self._began) / fresh * (whole - work)
        number, stages = self._place
        share = work / whole if whole else 1.0
        self._tell(Progress(self._name, number, stages, self._what, self._done, len(self._weights), share, left))


@contextmanager
def counting(model: Any, expected: float, inside: Callable[[float], None]) -> Iterator[None]:
    """Call ``inside`` with the share of ``expected`` network calls that were made."""
    calls = 0

    def hook(module: Any, inputs: Any, output: Any) -> None:
        nonlocal calls
        calls += 1
        inside(calls / expected)

    handle = model.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
