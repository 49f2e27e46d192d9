"""Mask-rate schedules: the share r(t) of hidden tokens at time t, from r(0) = 0 to r(1) = 1.

A likelihood bound does not depend on the schedule (Kingma et al. 2021, arXiv 2107.00630; Sahoo et al. 2024, arXiv
2406.07524); the gradient's variance and a sampler's steps do.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.registry import SCHEDULES, is_code, power_of
from unmask.errors import Error
from unmask.own_code import check_allowed

Schedule = Callable[[Float[Tensor, " N"]], Float[Tensor, " N"]]


def linear(t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """r(t) = t."""
    return t


def cosine(t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """r(t) = 1 - cos(pi t / 2): few hidden tokens for most of the time."""
    return 1 - torch.cos(math.pi * t / 2)


def raised_cosine(t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """r(t) = (1 - cos(pi t)) / 2, flat at both ends (as in Aria): nearly clean and wholly hidden texts are common.

    All n tokens of a text are hidden with probability near sqrt(1 / (pi n)), where under r(t) = t it is 1 / (n + 1).
    """
    return (1 - torch.cos(math.pi * t)) / 2


def sqrt(t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Noise comes at once: r(t) is the square root of t (Diffusion-LM, arXiv 2205.14217)."""
    return t.clamp(min=0).sqrt()


def sigmoid(t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """r(t) is the logistic function from -5 to 5, stretched to reach 0 and 1: steep in the middle."""
    low, high = (1 / (1 + math.exp(x)) for x in (5, -5))
    return (torch.sigmoid(10 * t - 5) - low) / (high - low)


def exponential(t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """r(t) = (e^(3 t) - 1) / (e^3 - 1): noise comes late."""
    return torch.expm1(3 * t) / math.expm1(3)


def polynomial(power: float) -> Schedule:
    """Return r(t) = t ** power."""

    def schedule(t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return t**power

    return schedule


def get_schedule(name: str) -> Schedule:
    """Return a schedule by name.

    Args:
        name: ``linear``, ``cosine``, ``raised_cosine``, ``sqrt``, ``sigmoid``, ``exponential``, ``polynomial:POWER``,
            or ``package.module:function`` for one of the user's own, a differentiable function of a float64 tensor,
            which is imported only where that is allowed (:mod:`unmask.own_code`).

    Raises:
        Error: no such schedule, code that is not allowed, or it does not rise from 0 to 1.
    """
    head, _, tail = name.partition(":")
    if head == "polynomial":
        return polynomial(power_of(name))
    if not is_code(name):
        return SCHEDULES.get(name)
    check_allowed("the schedule", name)
    try:
        schedule: Schedule = getattr(importlib.import_module(head), tail)
    except Exception as error:  # the user's own code may raise anything
        raise Error(
            f"schedule {name!r} cannot be imported ({error}); give it as package.module:function, and the folder of a "
            "file of your own in PYTHONPATH."
        ) from error
    _check(name, schedule)
    return schedule


def _check(name: str, schedule: Schedule) -> None:
    """Refuse what does not rise from 0 to 1, NaN included, or has no derivative."""
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    try:
        rate = schedule(t)
        rises = abs(float(rate[0])) <= 1e-3 and abs(float(rate[-1]) - 1) <= 1e-3 and bool((rate.diff() >= 0).all())
        slope(schedule, t[1:-1])
    except Exception as error:  # the user's own code may raise anything
        raise Error(
            f"schedule {name!r} fails ({error}); it must be a differentiable function of a float64 tensor of times."
        ) from error
    if not rises:
        raise Error(f"schedule {name!r} must rise from r(0) = 0 to r(1) = 1 without falling.")


def slope(schedule: Schedule, t: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Return dr/dt, by automatic differentiation, so that any user's schedule has one."""
    with torch.enable_grad():
        point = t.detach().requires_grad_()
        return torch.autograd.grad(schedule(point).sum(), point)[0]
