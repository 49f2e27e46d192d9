"""The mended controller: actions accumulate, and the reward is measured on one batch with one noise.

Every M steps it measures the loss P_k of a fixed probe batch (the same examples, masks and times: common random
numbers, so that two measurements differ by the weights alone), and multiplies the factor x on the rate:

    actions   a in {ln 0.8, 0, ln 1.25},    ln x <- clip(ln x + a, ln 0.01, ln 100)
    reward    r_k = clip(ln P_(k-1) - ln P_k, -1, 1) - [diverged]
    learned   r_k - m_k,    m_1 = r_1,  m_(k+1) = (m_k + r_k) / 2
    state     diverged or not

It has *diverged* where P_k is not finite, a step since the last action was left out for its gradient, or P_k is more
than a tenth above the least that was seen. Without the baseline m (Schwartz 1993, "A reinforcement learning method for
maximizing undiscounted rewards", uses one) whatever is tried first looks good for as long as the loss falls at all, and
is kept. x multiplies whatever rate the schedule sets. With epsilon = 1 this is the control ``random``: the same machine
at the same cost, but nothing that it learns is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from unmask.training.qcontroller.factors import Limits, Scales
from unmask.training.qcontroller.options import MendedOptions
from unmask.training.qcontroller.table import Last, QTable, State, TableState

ACTIONS = (math.log(0.8), 0.0, math.log(1.25))
LOWEST, HIGHEST = math.log(1e-2), math.log(1e2)
TOO_HIGH = math.log(1.1)


def reward(before: float, now: float, diverged: bool) -> float:
    """Return r for the log losses before and after; going to or from an infinite one counts as 1."""
    if math.isfinite(before) and math.isfinite(now):
        gain = before - now
    else:
        gain = float(now < before) - float(now > before)
    return min(max(gain, -1.0), 1.0) - float(diverged)


@dataclass
class _Told:
    table: TableState
    log_factor: float
    steps: int
    skipped: int
    reward: float
    usual: float | None
    measured: float | None
    lowest: float
    last: Last


class MendedController:
    """The controller.

    Args:
        options: Its settings.
        seed: Of its random actions.

    Attributes:
        log_factor: ln x.
        steps: Steps so far.
        skipped: Steps left out since the last action.
        reward: The last r.
        usual: m; ``None`` before the first reward.
        measured: The last ln P; ``None`` before the first.
        lowest: The least ln P.
    """

    limits = Limits()

    def __init__(self, options: MendedOptions, seed: int) -> None:
        self.probes = options.probe
        self.every = options.every
        self.table = QTable(options, (len(ACTIONS),), seed)
        self.log_factor = 0.0
        self.steps = 0
        self.skipped = 0
        self.reward = 0.0
        self.usual: float | None = None
        self.measured: float | None = None
        self.lowest = math.inf
        self._last: tuple[State, tuple[int, ...]] | None = None

    @property
    def scales(self) -> Scales:
        """The factors now."""
        return Scales(math.exp(self.log_factor))

    def act(self, loss: Callable[[], float], gradient_norm: float, learning_rate: float, momentum: float) -> Scales:
        """Count the step; at every M-th, learn from the steps since the last action and choose the next one."""
        self.skipped += not math.isfinite(gradient_norm)
        if self.steps % self.every == 0:
            self._decide(loss())
        self.steps += 1
        return self.scales

    def _decide(self, loss: float) -> None:
        now = math.log(max(loss, 1e-12)) if math.isfinite(loss) else math.inf
        diverged = now == math.inf or now > self.lowest + TOO_HIGH or self.skipped > 0
        state = (int(diverged),)
        if self._last is not None and self.measured is not None:
            self.reward = reward(self.measured, now, diverged)
            usual = self.reward if self.usual is None else self.usual
            self.table.learn(*self._last, self.reward - usual, state)
            self.usual = (usual + self.reward) / 2
        actions = self.table.choose(state)
        self._last = state, actions
        self.log_factor = min(max(self.log_factor + ACTIONS[actions[0]], LOWEST), HIGHEST)
        self.measured, self.lowest, self.skipped = now, min(self.lowest, now), 0

    def told(self) -> dict[str, float]:
        """Return the factor, the share of random actions, and the last reward and probe loss."""
        measured = {"controller.probe": round(math.exp(self.measured), 6)} if self.measured is not None else {}
        return {
            "controller.factor": round(self.scales.learning_rate, 6),
            "controller.epsilon": round(self.table.epsilon, 6),
            "controller.reward": round(self.reward, 6),
            **measured,
        }

    def state(self) -> dict[str, Any]:
        """Return all that was learned, as plain JSON."""
        return {
            "table": self.table.state(),
            "log_factor": self.log_factor,
            "steps": self.steps,
            "skipped": self.skipped,
            "reward": self.reward,
            "usual": self.usual,
            "measured": self.measured,
            "lowest": self.lowest,
            "last": self._last,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        told = TypeAdapter(_Told).validate_python(state)
        self._last = self.table.restore(told.table, told.last)
        for name in ("log_factor", "steps", "skipped", "reward", "usual", "measured", "lowest"):
            setattr(self, name, getattr(told, name))
