"""A guard takes a part and raises ``AssertionError``, naming its promise, if the part breaks it.

Letters: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.likelihood import Likelihood
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error


@dataclass(frozen=True)
class Guard:
    """A promise and its check."""

    name: str
    promise: str
    check: Callable[..., None]

    def __call__(self, *parts: Any, **options: Any) -> None:
        """Check the parts.

        Raises:
            AssertionError: the promise, and how it is broken.
        """
        try:
            self.check(*parts, **options)
        except AssertionError as error:
            raise AssertionError(f"{self.promise}: broken, {error}") from error


GUARDS: dict[str, Guard] = {}


def guard(promise: str) -> Callable[[Callable[..., None]], Guard]:
    """Make a guard of a check, and list it in ``GUARDS``."""

    def register(check: Callable[..., None]) -> Guard:
        made = Guard(check.__name__, promise, check)
        assert made.name not in GUARDS, made.name
        GUARDS[made.name] = made
        return made

    return register


@dataclass(frozen=True)
class Call:
    """What a network was shown, what it was asked, and its answer.

    Attributes:
        state: What it saw.
        at: What it was asked.
        logits: Its answer; NaN where it was not asked.
        weights: The weights that the process gave to the asked positions, where they are known.
    """

    state: State
    at: Bool[Tensor, "B T"]
    logits: Float[Tensor, "B T V"]
    weights: Float[Tensor, "B T"] | None = None


class Watched:
    """A network whose every call is kept."""

    def __init__(self, model: Callable[..., Prediction]) -> None:
        self.model = model
        self.config = getattr(model, "config", None)
        self.calibration = getattr(model, "calibration", None)
        self.calls: list[Call] = []

    def __call__(self, state: State, at: Tensor | None = None, weights: Tensor | None = None) -> Prediction:
        """Answer as the network does."""
        prediction = self.model(state, at=at)
        asked = torch.ones_like(state.tokens, dtype=torch.bool) if at is None else at
        logits = prediction.logits.detach()
        full = logits.new_full((*asked.shape, logits.shape[-1]), torch.nan)
        full[asked] = logits
        self.calls.append(Call(state, asked, full, weights))
        return prediction


class Uniform:
    """A network that finds every token equally probable."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def __call__(self, state: State, at: Tensor | None = None) -> Prediction:
        """Answer with equal logits."""
        asked = state.tokens.numel() if at is None else int(at.sum())
        also = 0 if state.clean_at is None else int(state.clean_at.sum())
        even = torch.zeros(asked + also, self.vocabulary, requires_grad=True)
        return Prediction(even[also:], clean=even[:also])


def leaves(state: Any, within: str = "") -> dict[str, tuple[str, Any]]:
    """Return (annotation, value) of every field of a state, those of its parts as ``part.field``."""
    found = {}
    for f in fields(state):
        value = getattr(state, f.name)
        if is_dataclass(value):
            found |= leaves(value, f"{within}{f.name}.")
        elif isinstance(value, tuple):
            for thing in filter(is_dataclass, value):
                found |= leaves(thing, f"{within}{type(thing).__name__}.")
        else:
            found[within + f.name] = (str(f.type), value)
    return found


@torch.no_grad()
def answers(model: Any, state: State) -> Float[Tensor, "B T V"]:
    """Return a network's logits at every position."""
    logits: Tensor = model(state).logits
    return logits.view(*state.tokens.shape, -1)


def likelihood(process: Any, model: Any, clean: Batch, draws: int = 2, seed: int = 0) -> Likelihood | None:
    """Return a process's likelihood; ``None`` if it says that it has none."""
    try:
        found: Likelihood = process.likelihood(model, clean, draws=draws, seed=seed)
    except Error:
        return None
    return found


@torch.no_grad()
def shown(process: Any, model: Any, clean: Batch, seed: int = 1, progress: float = 1.0) -> list[Call]:
    """Return all that a process shows a network of a text: when it corrupts it, in its loss and in its likelihood."""
    watched = Watched(model)
    corrupted = process.corrupt(clean, seed, progress)
    watched(corrupted.state, at=corrupted.weights > 0, weights=corrupted.weights)
    process.loss(watched, clean, seed, progress)
    if progress == 1.0:
        likelihood(process, watched, clean, seed=seed)
    return watched.calls


def laid(process: Any, clean: Batch) -> Batch:
    """Return a batch whose places are those that a process works on: one that lays texts out anew has the last word."""
    made: Batch = process.laid_out(clean).batch if hasattr(process, "laid_out") else clean
    return made


def part(clean: Batch, rows: slice) -> Batch:
    """Return some rows of a batch."""
    return Batch(clean.tokens[rows], clean.segments[rows], clean.order[rows], clean.bos)


def in_a_world_of(number: int, act: Callable[[], Any]) -> Any:
    """Run ``act`` with all global random generators seeded by a number, and put them back.

    Raises:
        AssertionError: ``act`` drew from torch's global generator.
    """
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)
            random.seed(number)
            np.random.seed(number)
            start = torch.get_rng_state()
            result = act()
            assert torch.equal(start, torch.get_rng_state()), "it draws from the global random generator"
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
    return result


def apart(a: Float[Tensor, "*B V"], b: Float[Tensor, "*B V"], least: float = 1e-4) -> Bool[Tensor, "*B"]:
    """Tell of each prediction whether it differs by more than rounding."""
    return (a - b).abs().amax(-1) > least * float(a.std())


def close(a: Tensor, b: Tensor) -> bool:
    """Tell whether two answers are equal up to the order of sums."""
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-4, rtol=1e-4)
