"""Planted defects: parts made wrong on purpose, each of which one guard must catch, and for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guards.guard import Guard


@dataclass(frozen=True)
class Defect:
    """A defect and what must be said of it.

    Attributes:
        name: What is wrong.
        guard: The guard that must catch it.
        says: Part of the guard's message (a regular expression): the reason, not an accident on the way.
        plant: Runs the guard on the defective part.
    """

    name: str
    guard: Guard
    says: str
    plant: Callable[[], None]


DEFECTS: dict[str, Defect] = {}


def defect(guard: Guard, says: str) -> Callable[[Callable[[], None]], Defect]:
    """List a function that runs ``guard`` on a defective part."""

    def register(plant: Callable[[], None]) -> Defect:
        made = Defect(plant.__name__, guard, says, plant)
        assert made.name not in DEFECTS, made.name
        DEFECTS[made.name] = made
        return made

    return register
