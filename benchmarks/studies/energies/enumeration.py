"""The exact law of a few nodes, by going through all states: what the samplers are held against.

    p(s) = exp(-beta E(s)) / Z,   Z = sum over all Q^N states

Letters: S = Q^N states, N nodes, Q values.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor

from unmask.errors import Error
from unmask.roots.energies.discrete import Discrete

MOST = 1 << 20


class Law(NamedTuple):
    """All states and their probabilities.

    Attributes:
        states: All of them; the last node changes fastest.
        log_p: Log-probabilities; differentiable in the energy's parameters.
        log_z: ln Z.
    """

    states: Num[Tensor, "S N"]
    log_p: Float[Tensor, " S"]
    log_z: Float[Tensor, ""]


def all_states(energy: Discrete) -> Num[Tensor, "S N"]:
    """Return all states.

    Raises:
        Error: there are more than 2^20.
    """
    values, nodes = energy.values, energy.graph.nodes
    count = len(values) ** nodes
    if count > MOST:
        raise Error(f"{len(values)}^{nodes} states are too many to go through; use at most {MOST}.")
    place = len(values) ** torch.arange(nodes - 1, -1, -1, device=values.device)
    return values[torch.arange(count, device=values.device)[:, None] // place % len(values)]


def exact_law(energy: Discrete, beta: float = 1.0) -> Law:
    """Return the law of a small energy.

    Raises:
        Error: there are more than 2^20 states.
    """
    states = all_states(energy)
    weights = -beta * energy(states)
    log_z = weights.logsumexp(0)
    return Law(states, weights - log_z, log_z)
