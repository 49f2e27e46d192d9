"""What a controller does to an optimiser: factors on the rates and momenta that its settings and schedule gave it.

Before a step each parameter group's learning rate l and momentum m (SGD's ``momentum``, Adam's beta_1) become

    l' = clip(x l),   m' = clip(y m)

and after it they are l and m again. So no factor is ever applied to a factor, any schedule goes on as if there were no
controller, groups whose rates a network scales keep their ratios, and checkpoints hold the schedule's own rates. What
is 0 stays 0: a group that is frozen, a schedule that has not begun, SGD without momentum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Scales:
    """Factors x on learning rates and y on momenta."""

    learning_rate: float = 1.0
    momentum: float = 1.0


@dataclass(frozen=True)
class Limits:
    """Lowest and highest learning rate and momentum that an optimiser may be given."""

    learning_rate: tuple[float, float] = (0.0, math.inf)
    momentum: tuple[float, float] = (0.0, 1.0)

    def rate(self, base: float, scales: Scales) -> float:
        """Return l'."""
        return _clip(base * scales.learning_rate, self.learning_rate) if base else base

    def beta(self, base: float, scales: Scales) -> float:
        """Return m'."""
        return _clip(base * scales.momentum, self.momentum) if base else base


def _clip(value: float, ends: tuple[float, float]) -> float:
    return min(max(value, ends[0]), ends[1])


class Controller(Protocol):
    """Chooses the factors of a step.

    Attributes:
        probes: Examples in the fixed batch whose loss it asks for; 0: it asks for the loss of the step itself.
        limits: What the factors may lead to.
    """

    probes: int
    limits: Limits

    def act(self, loss: Callable[[], float], gradient_norm: float, learning_rate: float, momentum: float) -> Scales:
        """Return the factors of the step under way.

        Args:
            loss: Measures the loss. It is called at the same steps on every rank.
            gradient_norm: Norm of the step's gradient before clipping. Not finite: the step will be left out.
            learning_rate: The first group's, as its schedule has it.
            momentum: The first group's; 0 where there is none.
        """
        ...

    def told(self) -> dict[str, float]:
        """Return numbers to log."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that was learned, as plain JSON."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        ...


Groups = Sequence[dict[str, Any]]


def momentum(group: dict[str, Any]) -> float:
    """Return a parameter group's momentum; 0 where it has none."""
    return float(group["betas"][0]) if "betas" in group else float(group.get("momentum", 0.0))


def steer(groups: Groups, scales: Scales, limits: Limits) -> list[dict[str, Any]]:
    """Give an optimiser's groups their rates and momenta for one step.

    Returns:
        What they had before, for :func:`release`.
    """
    before: list[dict[str, Any]] = []
    for group in groups:
        kept: dict[str, Any] = {key: group[key] for key in ("lr", "betas", "momentum") if key in group}
        before.append(kept)
        group["lr"] = limits.rate(group["lr"], scales)
        if "betas" in group:
            group["betas"] = (limits.beta(group["betas"][0], scales), *group["betas"][1:])
        elif "momentum" in group:
            group["momentum"] = limits.beta(group["momentum"], scales)
    return before


def release(groups: Groups, before: Sequence[dict[str, Any]]) -> None:
    """Give the groups back what they had before :func:`steer`."""
    for group, kept in zip(groups, before, strict=True):
        group.update(kept)
