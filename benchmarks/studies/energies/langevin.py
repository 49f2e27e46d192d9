"""Overdamped Langevin dynamics, dx = score(x) dt + sqrt2 dW: unadjusted (ULA) and Metropolis-adjusted (MALA).

    ULA     x' = x + h score(x) + sqrt(2h) eps
    MALA    the same as a proposal y, taken with probability min(1, exp r),
            r = E(x) - E(y) + [ |y - x - h score(x)|^2 - |x - y - h score(y)|^2 ] / 4h

ULA's law is wrong by O(h): in a Gaussian of variance v it settles at v / (1 - h / 2v), and for h >= 2v it explodes.
MALA's law is right for every h (Roberts & Tweedie 1996; Besag 1994); h is best where about 0.57 of the proposals are
taken (Roberts & Rosenthal 1998). For temperature T give E / T.

Noise comes from (seed, chain, step), so a chain's path depends neither on its batch mates nor on what ran before.
Neither sampler crosses a high wall in reasonable time: for separated modes see ``annealed``.

Letters: B chains, D dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.studies.energies.energy import Energy, Score, energy_and_score
from unmask.diffusion.noise import Noise
from unmask.errors import Error


class Point(NamedTuple):
    """Where MALA's chains are.

    Attributes:
        x: Places.
        energy: Of each.
        score: At each.
        accepted: Whether the proposal that led here was taken; all true at the start.
    """

    x: Float[Tensor, "B D"]
    energy: Float[Tensor, " B"]
    score: Float[Tensor, "B D"]
    accepted: Bool[Tensor, " B"]


def ula(
    score: Score, x: Float[Tensor, "B D"], *, step: float, steps: int, noise: Noise
) -> Iterator[Float[Tensor, "B D"]]:
    """Yield the chains after each step.

    Args:
        score: -grad E; of an energy: ``score_of(energy)``.
        x: Where the chains start.
        step: h.
        steps: How many.
        noise: One row a chain. To go on with the same chains, fold it first.

    Raises:
        Error: h is not positive.
    """
    _check(step)
    for k in range(steps):
        x = _moved(x, score(x), step, noise.fold(torch.tensor(k)))
        yield x


def mala(energy: Energy, x: Float[Tensor, "B D"], *, step: float, steps: int, noise: Noise) -> Iterator[Point]:
    """Yield the chains after each step; one gradient a step. The arguments are those of ``ula``.

    A proposal whose energy is infinite or not a number is refused.

    Raises:
        Error: h is not positive.
    """
    _check(step)
    here = Point(x, *energy_and_score(energy, x), torch.ones(len(x), dtype=torch.bool, device=x.device))
    for k in range(steps):
        fresh = noise.fold(torch.tensor(k))
        y = _moved(here.x, here.score, step, fresh)
        there = Point(y, *energy_and_score(energy, y), here.accepted)
        taken = fresh.uniform("accept", 1)[:, 0].log() < log_acceptance(here, there, step)
        here = Point(
            torch.where(taken[:, None], there.x, here.x),
            torch.where(taken, there.energy, here.energy),
            torch.where(taken[:, None], there.score, here.score),
            taken,
        )
        yield here


def log_acceptance(here: Point, there: Point, step: float) -> Float[Tensor, " B"]:
    """Return r, the log of [p(y) q(x|y)] / [p(x) q(y|x)], for proposals from x = ``here`` to y = ``there``."""
    onward = (there.x - here.x - step * here.score).square().sum(-1)
    back = (here.x - there.x - step * there.score).square().sum(-1)
    return here.energy - there.energy + (onward - back) / (4 * step)


def _moved(x: Float[Tensor, "B D"], score: Float[Tensor, "B D"], step: float, noise: Noise) -> Float[Tensor, "B D"]:
    return x + step * score + math.sqrt(2 * step) * noise.normal("langevin", x.shape[1]).to(x.dtype)


def _check(step: float) -> None:
    if not step > 0:
        raise Error(f"a Langevin step must be positive, not {step}.")
