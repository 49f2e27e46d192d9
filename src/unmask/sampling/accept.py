"""Which open positions a step decides: rules of acceptance, one axis of all that order positions by confidence.

With c_i the confidence of open position i, c_(1) >= c_(2) >= .. its order, and H_i its entropy:

    count       as many as the schedule of ``steps`` asks for
    entropy     the longest prefix with  sum H - max H <= entropy_budget   (EB-Sampler, arXiv 2505.24857)
    threshold   all with  c_i >= sure_above   (Fast-dLLM, arXiv 2505.22618)
    profile     the longest prefix with  sum_{j<=n} (1 - c_(j)) + (1 - c_(n)) <= doubt_budget
    stable      all with  c_i >= sure_above  whose distribution stayed: KL(now | before) <= stable_nats in each of the
                last ``stable_looks`` answers   (KLASS, arXiv 2511.05664)

``profile`` is Fast-dLLM++ (arXiv 2606.02955). By Frechet's bounds the words of highest probability have at least
1 - sum (1 - c_(j)) together and any other words at most 1 - c_(n), so with a budget of 1 the likeliest text of the
prefix is the one that its positions choose apart from each other. With equal confidences that is (n + 1)(1 - c) <= 1,
Fast-dLLM's factor, which looks at the least confidence alone.

A rule adds to what the schedule asks for, and takes nothing from it: each step decides at least one position, and a
text takes at most ``steps`` of them. What easy positions leave over hard ones have: the schedule counts what is open.

Words drawn together are the model's own within, in total variation and in each step, 2 (sum (1 - c) - max (1 - c)):
both laws choose one of them alike, and all others as their peaks say but for that much. So ``profile`` is off by less
than 2 doubt_budget a step, ``threshold`` in a text of n words and k steps by at most 2 (n - k)(1 - sure_above).

Letters: B rows, T positions.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.sampling.looks import Looks
from unmask.sampling.settings import ConfidenceSettings
from unmask.sampling.state import SamplerState


def accepted(
    state: SamplerState,
    sure: Float[Tensor, "B T"],
    score: Float[Tensor, "B T"],
    entropy: Float[Tensor, "B T"] | None = None,
    looks: Looks | None = None,
) -> Bool[Tensor, "B T"]:
    """Return the open positions that each row decides now, at least one.

    Args:
        state: The rows, with settings of ``confidence``.
        sure: Confidence of each position, 0 to 1.
        score: What orders them, highest first; the leftmost of equals.
        entropy: Nats of each position, where a row accepts by entropy.
        looks: What was said of them, this answer included, where a row accepts what is stable.
    """
    order = score.masked_fill(~state.open, -torch.inf).argsort(dim=1, descending=True, stable=True)
    place = torch.arange(order.shape[1], device=order.device)
    rules = [settings.accept for settings in state.settings]

    def of_rule(*names: str) -> Bool[Tensor, "B 1"]:
        return torch.tensor([rule in names for rule in rules], device=order.device)[:, None]

    prefix = place < asked(state, sure)[:, None]
    if entropy is not None:
        nats = entropy.masked_fill(~state.open, 0.0).gather(1, order)
        together = nats.cumsum(1) - nats.cummax(1).values  # never falls along the prefix; 0 for one position
        prefix = prefix | of_rule("entropy") & (together <= state.setting("entropy_budget")[:, None])
    if "profile" in rules:
        doubt = (1 - sure).masked_fill(~state.open, 0.0).gather(1, order)
        together = doubt.cumsum(1) + doubt.cummax(1).values
        prefix = prefix | of_rule("profile") & (together <= state.setting("doubt_budget")[:, None])
    kept = torch.zeros_like(state.open).scatter(1, order, prefix)
    if "threshold" in rules or looks is not None:
        above = of_rule("threshold", "stable") & (sure >= state.setting("sure_above")[:, None])
        if looks is not None:
            above = above & (~of_rule("stable") | (looks.still > state.setting("stable_looks")[:, None]))
        kept = kept | above
    return kept & state.open


def asked(state: SamplerState, sure: Float[Tensor, "B T"]) -> Int[Tensor, " B"]:
    """Return how many positions the schedule asks each row to decide now, at least 1; all where it stops."""
    share = ((state.step + 1) / state.setting("steps")).clamp(max=1)
    linear = torch.tensor([s.reveal == "linear" for s in state.settings], device=share.device)
    # 1e-9: cos(pi/2) is 6e-17 and not 0, and n * (1 - 1/n) may fall just short of n - 1.
    keep_open = torch.where(linear, 1 - share, (share * (math.pi / 2)).cos()) * state.total
    now = state.open.sum(1)
    count = (now - (keep_open + 1e-9).floor().long()).clamp(min=1)
    stop = [2.0 if s.confidence_stop is None else s.confidence_stop for s in state.settings]
    least = sure.masked_fill(~state.open, torch.inf).amin(1)
    return torch.where(least > torch.tensor(stop, dtype=least.dtype, device=least.device), now, count)


def apart(settings: ConfidenceSettings) -> bool:
    """Tell whether no word is decided together with another one but those without any doubt, steps aside."""
    bounds: dict[str, tuple[Any, Any]] = {
        "count": (0, 0),
        "entropy": (settings.entropy_budget, 0),
        "threshold": (settings.sure_above, 1),
        "profile": (settings.doubt_budget, 0),
        "stable": (settings.sure_above, 1),
    }
    given, free = bounds[settings.accept]
    return bool(given == free)
