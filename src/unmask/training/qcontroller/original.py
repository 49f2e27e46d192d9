"""Bytropix's Q-controller, to the letter: it cannot move a rate by more than a tenth, and is here to be measured.

At each step it sees a loss L and a gradient norm g, and from the third loss on acts:

    state    (bin of the loss's trend, bin of the median g, oscillating?, bin of the rate / 1e-4, bin of the momentum)
    actions  x in {0.9, 0.95, 1, 1.05, 1.1},  y in {0.95, 0.98, 1, 1.01, 1.02}     two rows, learned apart
    l, m     = clip(x base, 1e-8, 0.1),  clip(y base, 0.5, 0.999)
    reward   = clip(tanh(10 (L' - L) / |L'|) - 0.1 min(1, (g - 5) / 10) [g > 5] + 0.02 [g < 0.05]
                    - 0.15 [oscillating] + min(0.1, 0.05 floor(stable / 5)), -1, 1)          L': the loss before

The trend is the slope of the last 5 losses over their mean; *oscillating* means that the last 5 rewards changed sign
three times or more; *stable* counts steps in a row whose reward, before this term, is positive. Bytropix's words leave
these windows open. There are 1,000 states, so its table of 10,000 is never full.

Both factors are applied to the *base* values, those of settings and schedule, hence they never compound, and the two
losses of a reward are those of different batches.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from pydantic import TypeAdapter

from unmask.training.qcontroller.factors import Limits, Scales
from unmask.training.qcontroller.options import OriginalOptions
from unmask.training.qcontroller.table import Last, QTable, State, TableState

RATE_FACTORS = (0.9, 0.95, 1.0, 1.05, 1.1)
MOMENTUM_FACTORS = (0.95, 0.98, 1.0, 1.01, 1.02)
LIMITS = Limits(learning_rate=(1e-8, 0.1), momentum=(0.5, 0.999))
WINDOW = 5
LEAST = 3  # losses before the first action
_TREND = (-0.05, -0.005, 0.005, 0.05)
_NORM = (0.1, 0.5, 1.5, 5.0)
_RATE = (0.5, 2.0, 10.0, 50.0)
_MOMENTUM = (0.85, 0.92, 0.97)


def trend(losses: Sequence[float]) -> float:
    """Return the slope of the least-squares line through some losses, a step, over the mean of their sizes."""
    middle, mean = (len(losses) - 1) / 2, fmean(losses)
    up = sum((i - middle) * (loss - mean) for i, loss in enumerate(losses))
    across = sum((i - middle) ** 2 for i in range(len(losses)))
    return up / across / (fmean(map(abs, losses)) + 1e-12)


def oscillating(rewards: Sequence[float]) -> bool:
    """Tell whether rewards changed sign three times or more."""
    return sum(a * b < 0 for a, b in pairwise(rewards)) >= 3


def state_of(
    losses: Sequence[float], norms: Sequence[float], rewards: Sequence[float], rate: float, momentum: float
) -> State:
    """Return the bins of what was seen; a value on a border belongs to the bin above it."""
    return (
        bisect_right(_TREND, trend(losses)),
        bisect_right(_NORM, median(norms)),
        int(oscillating(rewards)),
        bisect_right(_RATE, rate / 1e-4),
        bisect_right(_MOMENTUM, momentum),
    )


def plain_reward(before: float, loss: float, norm: float, oscillates: bool) -> float:
    """Return the reward without the term for stability, not clipped."""
    reward = math.tanh(10 * (before - loss) / (abs(before) + 1e-12))
    if norm > 5:
        reward -= 0.1 * min(1.0, (norm - 5) / 10)
    elif norm < 0.05:
        reward += 0.02
    return reward - 0.15 * oscillates


@dataclass
class _Told:
    table: TableState
    scales: tuple[float, float]
    windows: tuple[list[float], list[float], list[float]]
    stable: int
    last: Last


class OriginalController:
    """The controller.

    Args:
        options: Its settings.
        seed: Of its random actions.
    """

    probes = 0
    limits = LIMITS

    def __init__(self, options: OriginalOptions, seed: int) -> None:
        self.table = QTable(options, (len(RATE_FACTORS), len(MOMENTUM_FACTORS)), seed)
        self.scales = Scales()
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.norms: deque[float] = deque(maxlen=WINDOW)
        self.rewards: deque[float] = deque(maxlen=WINDOW)
        self.stable = 0
        self._last: tuple[State, tuple[int, ...]] | None = None

    def act(self, loss: Callable[[], float], gradient_norm: float, learning_rate: float, momentum: float) -> Scales:
        """Learn from the step before and choose the factors of this one; a step that is left out changes nothing."""
        value = loss()
        if not (math.isfinite(value) and math.isfinite(gradient_norm)):
            return self.scales
        if self.losses:
            self.rewards.append(self._reward(value, gradient_norm))
        self.losses.append(value)
        self.norms.append(gradient_norm)
        if len(self.losses) < LEAST:
            return self.scales
        rate, beta = self.limits.rate(learning_rate, self.scales), self.limits.beta(momentum, self.scales)
        state = state_of(self.losses, self.norms, self.rewards, rate, beta)
        if self._last is not None:
            self.table.learn(*self._last, self.rewards[-1], state)
        actions = self.table.choose(state)
        self._last = state, actions
        self.scales = Scales(RATE_FACTORS[actions[0]], MOMENTUM_FACTORS[actions[1]])
        return self.scales

    def _reward(self, loss: float, norm: float) -> float:
        plain = plain_reward(self.losses[-1], loss, norm, oscillating(self.rewards))
        self.stable = self.stable + 1 if plain > 0 else 0
        return min(max(plain + min(0.1, 0.05 * (self.stable // 5)), -1.0), 1.0)

    def told(self) -> dict[str, float]:
        """Return the factors, the last reward and the share of random actions."""
        return {
            "controller.factor": self.scales.learning_rate,
            "controller.momentum_factor": self.scales.momentum,
            "controller.epsilon": round(self.table.epsilon, 6),
            **({"controller.reward": round(self.rewards[-1], 6)} if self.rewards else {}),
        }

    def state(self) -> dict[str, Any]:
        """Return all that was learned, as plain JSON."""
        return {
            "table": self.table.state(),
            "scales": [self.scales.learning_rate, self.scales.momentum],
            "windows": [list(self.losses), list(self.norms), list(self.rewards)],
            "stable": self.stable,
            "last": self._last,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        told = TypeAdapter(_Told).validate_python(state)
        self._last = self.table.restore(told.table, told.last)
        self.scales = Scales(*told.scales)
        self.losses, self.norms, self.rewards = (deque(values, WINDOW) for values in told.windows)
        self.stable = told.stable
