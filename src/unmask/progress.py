"""Where long work stands: its stage, what is being done, how much of it is done, and the seconds left.

Who does the work tells a :class:`Progress` with every change, through a function that was given as ``progress``. Who
shows it decides how often (:mod:`unmask.progress_line`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """What is told while long work is done.

    Attributes:
        stage: ``scoring``, ``timing`` and so on.
        number: Of the stage, from 1.
        stages: How many there are.
        what: What is being worked on.
        done: Items of this stage that are done.
        total: Items of this stage; ``None``: nobody knows.
        share: Share of the stage's work that is done, 0 to 1; 0 where there is no total.
        left: Seconds until the stage is done, by its own pace so far; ``None`` before there is one.
        unit: What is counted, such as ``windows``; empty: unlike items.
        facts: What else is told, such as a speed.
        left_in_all: Seconds until all stages are done, roughly; ``None``: nobody knows.
    """

    stage: str
    number: int
    stages: int
    what: str
    done: int
    total: int | None
    share: float
    left: float | None
    unit: str = ""
    facts: str = ""
    left_in_all: float | None = None


Tell = Callable[[Progress], None]


class Stage:
    """One stage of unlike items, told as it goes.

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


class Counter:
    """One stage of many alike items, told as they are counted; its clock runs from when it is made.

    Args:
        name: The stage's name.
        tell: Called with every change.
        unit: What is counted, in the plural.
        what: What is worked on.
        place: The stage's number from 1, and how many stages there are.
        first: Items that were done before.
    """

    def __init__(
        self, name: str, tell: Tell, *, unit: str, what: str = "", place: tuple[int, int] = (1, 1), first: int = 0
    ) -> None:
        self._name, self._tell, self._unit, self._place, self._first = name, tell, unit, place, first
        self.what = what
        self.done = first
        self._began = time.monotonic()

    def __call__(self, done: int, total: int | None = None) -> None:
        """Tell how many are done, and how many there are if that is known."""
        self.done = done
        seconds, fresh = time.monotonic() - self._began, done - self._first
        pace = fresh / seconds if seconds > 0 and fresh > 0 else None
        left = None if pace is None or total is None else max(total - done, 0) / pace
        facts = "" if pace is None else f"{pace:,.0f} {self._unit}/s" if pace >= 1 else f"{1 / pace:.1f} s each"
        share = done / total if total else 0.0
        self._tell(Progress(self._name, *self._place, self.what, done, total, share, left, self._unit, facts))

    def add(self, more: int, total: int | None = None) -> None:
        """Tell that so many more are done."""
        self(self.done + more, total)


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
