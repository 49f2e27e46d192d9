"""Which of several ways are worth having: those that no other beats in both quality and time, and one of them."""

from __future__ import annotations

from collections.abc import Sequence

from unmask.errors import Error
from unmask.sweeps.bench import Point

MOST = 8
"""Ways of a front that are measured again and shown."""
NEARLY = 1.05
"""Times the best way's bits per byte that are nearly as good, whatever else the front holds."""


def front_of(points: Sequence[Point], real_bits: float) -> list[Point]:
    """Return the ways that have not collapsed and that no other equals in one and beats in the other, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.ms, point.quality(real_bits))):
        if not point.collapsed and (not front or point.quality(real_bits) < front[-1].quality(real_bits)):
            front.append(point)
    return front


def thinned(front: Sequence[Point], most: int = MOST) -> list[Point]:
    """Return so many ways of a front at most, its ends among them, evenly by place."""
    if len(front) <= most:
        return list(front)
    return [front[round(place * (len(front) - 1) / (most - 1))] for place in range(most)]


def chosen(front: Sequence[Point], real_bits: float, choice: str) -> Point | None:
    """Return the way of a front that was asked for.

    Args:
        front: Fastest first.
        real_bits: Bits per byte of real text.
        choice: ``fast``: the first; ``good``: the last; ``balanced``: the first that is nearly as good as the last; a
            number from 1; ``none``: nothing.

    Raises:
        Error: there is no such number, or the front is empty.
    """
    if choice == "none":
        return None
    if not front:
        raise Error("every way that was tried has collapsed, so there is nothing to choose; try more with --trials.")
    if choice.isdigit():
        if int(choice) > len(front):
            raise Error(f"choose is {choice}, and the front has {len(front)} rows; say one of them.")
        return front[int(choice) - 1]
    if choice in ("fast", "good"):
        return front[0 if choice == "fast" else -1]
    return next(point for point in front if point.quality(real_bits) <= NEARLY * front[-1].quality(real_bits))
