"""A table of Q values with one row an actuator, the rows learned apart.

    td       = r + gamma max_b Q(s', b) - Q(s, a)
    alpha'   = min(1/2, alpha (1 + 0.05 tanh |td|))
    Q(s, a) <- Q(s, a) + alpha' td

With probability epsilon an action is drawn from all, else from the best ones; epsilon_n = max(epsilon_min, epsilon
decay^n) at the n-th choice. The n-th draw derives from (seed, n) alone, so a table that was stored goes on as if it had
not been. At most ``capacity`` states are kept: the least used goes, of these the one that was not seen for longest.

Watkins & Dayan 1992, "Q-learning"; alpha' and the table's limits are Bytropix's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import NonNegativeInt

from unmask.training.qcontroller.options import LearningOptions

CAPACITY = 10_000
_STREAM = 0x51  # keeps these draws apart from others of the same seed

State = tuple[int, ...]


@dataclass
class TableState:
    """What :meth:`QTable.state` returns, for a reader that checks it: actions are those of ``sizes``.

    Attributes:
        choices: Choices so far.
        entries: State, values, uses and last use of each.
    """

    choices: NonNegativeInt
    entries: list[tuple[list[int], list[list[float]], int, int]]


Last = tuple[list[int], list[int]] | None
"""The last state and the actions chosen in it."""


@dataclass
class Entry:
    """What is known of a state.

    Attributes:
        values: Q of each action, a row an actuator.
        uses: How often it was chosen from.
        last: Number of the choice that it was last used for.
    """

    values: list[list[float]]
    uses: int = 0
    last: int = 0


class QTable:
    """Q values of the states that were seen, all zero at first.

    Args:
        options: alpha, gamma and epsilon.
        sizes: Number of actions of each row.
        seed: Of the random actions.
        capacity: Most states kept.
    """

    def __init__(self, options: LearningOptions, sizes: Sequence[int], seed: int, capacity: int = CAPACITY) -> None:
        self.options = options
        self.sizes = tuple(sizes)
        self.seed = seed
        self.capacity = capacity
        self.choices = 0
        self.entries: dict[State, Entry] = {}

    @property
    def epsilon(self) -> float:
        """The share of actions drawn at random, now."""
        given = self.options
        return max(given.q_min_epsilon, given.q_epsilon * given.q_epsilon_decay**self.choices)

    def choose(self, state: State) -> tuple[int, ...]:
        """Return an action a row, and count the choice."""
        draw = np.random.default_rng([self.seed, _STREAM, self.choices])
        epsilon = self.epsilon
        entry = self._entry(state)
        entry.uses += 1
        entry.last = self.choices
        self.choices += 1
        actions = []
        for values in entry.values:
            best = [action for action, value in enumerate(values) if value == max(values)]
            among = list(range(len(values))) if draw.random() < epsilon else best
            actions.append(among[int(draw.integers(len(among)))])
        return tuple(actions)

    def learn(self, state: State, actions: Sequence[int], reward: float, after: State) -> None:
        """Move Q(state, actions) towards what was got and what can be got from the state after."""
        entry, then = self._entry(state), self._entry(after)
        for values, action, ahead in zip(entry.values, actions, then.values, strict=True):
            difference = reward + self.options.q_discount * max(ahead) - values[action]
            values[action] += step_size(self.options.q_learning_rate, difference) * difference

    def _entry(self, state: State) -> Entry:
        if state not in self.entries:
            if len(self.entries) >= self.capacity:
                del self.entries[min(self.entries, key=lambda s: (self.entries[s].uses, self.entries[s].last))]
            self.entries[state] = Entry([[0.0] * size for size in self.sizes], last=self.choices)
        return self.entries[state]

    def state(self) -> dict[str, Any]:
        """Return the table as plain JSON."""
        rows = [[list(state), e.values, e.uses, e.last] for state, e in self.entries.items()]
        return {"choices": self.choices, "entries": rows}

    def restore(self, state: TableState, last: Last) -> tuple[State, tuple[int, ...]] | None:
        """Go on from what :meth:`state` returned, and return the last state and actions.

        Raises:
            ValueError: it is the table of other actions.
        """
        chosen = () if last is None else last[1]
        if any([len(row) for row in values] != list(self.sizes) for _, values, _, _ in state.entries) or not all(
            0 <= action < size for action, size in zip(chosen, self.sizes, strict=last is not None)
        ):
            raise ValueError("the controller's table has other actions")
        self.choices = state.choices
        self.entries = {tuple(s): Entry(values, uses, used) for s, values, uses, used in state.entries}
        return None if last is None else (tuple(last[0]), tuple(chosen))


def step_size(alpha: float, difference: float) -> float:
    """Return alpha'."""
    return min(0.5, alpha * (1 + 0.05 * math.tanh(abs(difference))))
