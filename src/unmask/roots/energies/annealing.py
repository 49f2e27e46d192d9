"""Simulated annealing: Gibbs sweeps at rising beta = 1 / temperature, and the best state met (Kirkpatrick et al. 1983).

Letters: B chains, N nodes, S sweeps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.errors import Error
from unmask.roots.energies.discrete import Discrete
from unmask.roots.energies.gibbs import start, sweep, uniforms


class Annealed(NamedTuple):
    """The best state that each chain met.

    Attributes:
        state: Of each chain.
        energy: Of it, computed anew.
    """

    state: Num[Tensor, "B N"]
    energy: Float[Tensor, " B"]

    @property
    def best(self) -> Num[Tensor, " N"]:
        """The best state of all chains."""
        return self.state[int(self.energy.argmin())]


def cooling(hot: float, cold: float, sweeps: int, *, quench: int = 2) -> list[float]:
    """Return betas: geometric from 1 / hot to 1 / cold, then ``quench`` sweeps downhill (beta = inf).

    A good ``hot`` is about the largest sum of couplings at a node, a good ``cold`` about the smallest coupling that
    matters; both are temperatures, in units of the energy.

    Raises:
        Error: the temperatures do not fall, or there is no sweep.
    """
    if not (hot >= cold > 0 and sweeps >= 1 and quench >= 0):
        raise Error(f"cooling needs hot >= cold > 0 and at least one sweep, not {hot}, {cold}, {sweeps}.")
    falling = (hot * (cold / hot) ** (k / max(1, sweeps - 1)) for k in range(sweeps))
    return [1 / temperature for temperature in falling] + [math.inf] * quench


def anneal(
    energy: Discrete,
    state: Num[Tensor, "B N"],
    betas: Sequence[float],
    noise: Noise,
    *,
    clamped: Bool[Tensor, " N"] | None = None,
    colour: Int[Tensor, " N"] | None = None,
) -> Annealed:
    """Sweep once at each beta and return the best state that each chain met, its start included.

    Args:
        energy: ``Ising``, ``Potts``, or another with a graph.
        state: Where the chains start: random, or what is to be improved.
        betas: Inverse temperatures, e.g. ``cooling(hot, cold, sweeps)``.
        noise: One row a chain.
        clamped: Nodes that keep their values.
        colour: The graph's ``greedy_coloring``, if it is at hand.

    Raises:
        Error: the state does not fit the energy.
    """
    moving, blocks = start(energy, state, clamped, colour)
    best, above = moving.clone(), torch.zeros(len(state), dtype=torch.float64, device=state.device)
    lowest = above.clone()
    for k, beta in enumerate(betas):
        above += sweep(energy, blocks, moving, beta, uniforms(energy, noise, k))
        better = above < lowest
        best = torch.where(better, moving, best)
        lowest = torch.where(better, above, lowest)
    found = best.T.contiguous()
    return Annealed(found, energy(found).detach())
