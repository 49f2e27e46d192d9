"""Ancestral sampling that may take a word back and write it again (ReMDM, Wang et al. 2025, arXiv 2503.00307).

With alpha_t the share of positions decided at time t, a step from t to s < t does to each position on its own (eq. 6)

    decided:  reopened with probability sigma_t, else kept
    open:     decided  with probability (alpha_s - (1 - sigma_t) alpha_t) / (1 - alpha_t), else left open

so that the share decided at s is alpha_s whatever sigma_t is, as long as (eq. 7)

    0 <= sigma_t <= most_t = min(1, (1 - alpha_s) / alpha_t)

With sigma_t = 0 this is ``ancestral``. Strategies for sigma_t (section 4.1), with a strength eta:

    cap      min(eta, most_t)
    rescale  eta * most_t
    conf     eta * most_t * w_i, with w_i proportional to exp(-psi_i) over the decided positions of the text, psi_i the
             probability of the word when it was drawn

The paper's w_i sum to 1; ours average 1. With a sum of 1, and open positions that know nothing of it, fewer positions
are decided than alpha says, the last step has to fill what is left, and a text of any length takes back at most one
word a step. An average of 1 leaves the number that is reopened as it was and changes only which they are, so alpha is
kept; eta * most_t is then at most 1/e, for no w_i exceeds e.

When (section 4.2): between the times ``start`` and ``stop``; with a ``hold``, alpha rises to it by the time ``start``,
stays there, and goes on at ``stop`` (the paper's loop), else alpha_t = 1 - t throughout.

What is given, locked, or the end of the text is never reopened; see :func:`unmask.sampling.decide.reopen`.

Letters: B rows, T positions, N steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from unmask.sampling.ancestral import decided
from unmask.sampling.carry import carries
from unmask.sampling.decide import reopen
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Grid, Promise, started
from unmask.sampling.settings import RemaskingSettings
from unmask.sampling.state import Frame, SamplerState, frame


@dataclass(frozen=True)
class Remasking:
    """Decide open positions and reopen decided ones, each on its own.

    Attributes:
        skip: Ask the network only for rows that decide something in this step: same text, fewer calls. Rows to which
            each answer leaves something for the next (candidates, thoughts, latents) are asked in every step.
    """

    skip: bool = True

    Settings: ClassVar[type[RemaskingSettings]] = RemaskingSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"remask": "rescale", "remask_strength": 0.2},
        {"remask": "conf", "remask_strength": 0.2},
        {"remask_start": 0.55, "remask_stop": 0.05, "remask_hold": 0.9},
    )

    def promise(self, settings: RemaskingSettings) -> Promise:
        """Equation 6 step by step, if what is reopened does not depend on the words.

        Near the end at most one position is open at a time, and then each word that is written again brings the text
        closer to the truth: the limit. If reopening stops before, it leaves the errors of a time when many are open and
        drawn together however many steps there are.
        """
        if not settings.draws_as_told or (settings.remask == "conf" and settings.remask_strength > 0):
            return "none"
        return "reverse" if settings.remask_stop == 0 or settings.remask_strength == 0 else "process"

    def grid(self, settings: RemaskingSettings) -> Grid:
        """Return the times of all steps: alpha, and sigma (its mean over positions under ``conf``)."""
        level, sigma = _table(settings)
        return Grid(level / settings.steps, sigma)

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state."""
        state = started(self.Settings, requests, vocabulary)
        return replace(state, settles=torch.tensor([settling_step(own) for own in state.settings]))

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Go from t to s; at the last step everything open is decided and nothing is reopened."""
        active, width = ~state.done, state.tokens.shape[1]
        now, then, sigma = _times(state)
        steps = state.setting("steps")
        # Both sides times N: without reopening they are those of ancestral, to the last bit.
        goal = then - now + sigma * now
        chosen = state.open & (state.noise.uniform("reveal", width) * (steps - now)[:, None] < goal[:, None])
        taken = state.loose & (state.noise.uniform("reopen", width) < _odds(state, sigma))
        asked = chosen.any(1) | (active & carries(model, state)) if self.skip else active
        after = decided(model, state, chosen, asked)
        after = reopen(after, taken & after.valid)
        after = replace(after, step=state.step + active, forwards=state.forwards + asked)
        return after, frame(after, state)


def _odds(state: SamplerState, sigma: Float[Tensor, " B"]) -> Float[Tensor, "B T"]:
    """Return the probability with which each decided position is reopened."""
    even = sigma[:, None].expand(state.open.shape)
    unsure = torch.tensor([s.remask == "conf" for s in state.settings], device=sigma.device)
    if not bool((unsure & (sigma > 0)).any()):
        return even
    weight = (-state.confidence.double()).exp() * state.loose
    mean = weight.sum(1) / state.loose.sum(1).clamp(min=1)
    return torch.where(unsure[:, None], even * weight / mean.clamp(min=1 / math.e)[:, None], even)


def _times(state: SamplerState) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Return N alpha_t, N alpha_s and sigma_t of each row's step."""
    objects = {id(s): s for s in state.settings}  # rows of one request share their settings
    kinds = {s: number for number, s in enumerate(dict.fromkeys(objects.values()))}
    numbers = {key: kinds[s] for key, s in objects.items()}
    kind = torch.tensor([numbers[id(s)] for s in state.settings])
    tables = [_table(s) for s in kinds]
    longest = max(len(sigma) for _, sigma in tables)
    levels = torch.stack([pad(level, (0, longest + 1 - len(level))) for level, _ in tables])
    sigmas = torch.stack([pad(sigma, (0, longest - len(sigma))) for _, sigma in tables])
    last = torch.tensor([len(sigma) - 1 for _, sigma in tables])[kind]
    step = torch.minimum(state.step.cpu(), last)
    found = levels[kind, step], levels[kind, step + 1], sigmas[kind, step]
    now, then, sigma = (x.to(state.tokens.device) for x in found)
    return now, then, sigma


@lru_cache(maxsize=256)
def _table(settings: RemaskingSettings) -> tuple[Float[Tensor, " M"], Float[Tensor, " N"]]:
    """Return N alpha at the M = N + 1 times from all noise to text, and sigma in each of the N steps between them."""
    n = settings.steps
    step = torch.arange(n + 1, dtype=torch.float64)
    left, time = n - step, (n - step) / n
    level = step
    if (hold := settings.remask_hold) is not None:
        early, late = step * (hold / (1 - settings.remask_start)), n - left * ((1 - hold) / settings.remask_stop)
        held = torch.where(time >= settings.remask_start, early, torch.full_like(step, n * hold))
        level = torch.where(time <= settings.remask_stop, late, held)
    most = ((n - level[1:]) / level[:-1]).clamp(max=1)
    eta = settings.remask_strength
    sigma = most.clamp(max=eta) if settings.remask == "cap" else eta * most
    if settings.remask == "conf":
        sigma = sigma.clamp(max=1 / math.e)
    within = (time[:-1] <= settings.remask_start) & (time[:-1] > settings.remask_stop) & (level[:-1] > 0)
    return level, torch.where(within, sigma, 0.0)


def settling_step(settings: RemaskingSettings) -> int:
    """Return the number of the step from which on nothing is reopened."""
    at = _table(settings)[1].nonzero()
    return int(at[-1]) + 1 if len(at) else 0
