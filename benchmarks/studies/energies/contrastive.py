"""Contrastive divergence: an energy learns to be low at the data and high where its own chains go.

    d(-log p(data)) / d theta = < dE/d theta >_data - < dE/d theta >_model

The second mean comes from chains. Started at the data and run for k moves they give CD-k (Hinton 2002), biased but
quiet; started where the last call left them, persistent CD (Tieleman 2008), which follows the model. For an Ising
energy the gradient is <s>_model - <s>_data in the fields and <s s>_model - <s s>_data in the couplings: descent raises
the field of a spin that is up more often in the data.

Letters: B data, C chains, D dimensions or nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float, Int, Num
from torch import Tensor

from benchmarks.studies.energies.energy import Energy, score_of
from benchmarks.studies.energies.langevin import ula
from unmask.diffusion.noise import Noise
from unmask.roots.energies.discrete import Discrete
from unmask.roots.energies.gibbs import gibbs

Move = Callable[[Num[Tensor, "C D"], Noise], Num[Tensor, "C D"]]


class Contrast(NamedTuple):
    """One call of contrastive divergence.

    Attributes:
        loss: Its gradient is the log-likelihood's, estimated; its value is no measure of fit.
        negatives: Where the chains are now; start the next call here for persistent CD.
    """

    loss: Float[Tensor, ""]
    negatives: Num[Tensor, "C D"]


def contrastive_loss(
    energy: Energy, data: Num[Tensor, "B D"], chains: Num[Tensor, "C D"], move: Move, noise: Noise
) -> Contrast:
    """Return mean E(data) - mean E(moved chains) and the moved chains, through which no gradient flows.

    Args:
        energy: That learns: a module, or an ``Ising`` or ``Potts`` whose fields and couplings are parameters.
        data: Of which the energy shall be low.
        chains: ``data`` for CD, the last ``negatives`` for persistent CD.
        move: ``gibbs_move`` or ``langevin_move``.
        noise: One row a chain; another for each call (fold the step).
    """
    negatives = move(chains, noise).detach()
    return Contrast(energy(data).mean() - energy(negatives).mean(), negatives)


def gibbs_move(energy: Discrete, sweeps: int, colour: Int[Tensor, " N"] | None = None) -> Move:
    """Return some Gibbs sweeps of an energy as it is when they run; ``colour`` saves colouring its graph each time."""

    def move(chains: Num[Tensor, "C N"], noise: Noise) -> Num[Tensor, "C N"]:
        for moved in gibbs(energy, chains, sweeps, noise, colour=colour):
            chains = moved
        return chains

    return move


def langevin_move(energy: Energy, step: float, steps: int) -> Move:
    """Return some unadjusted Langevin steps; the energy learns its own law up to their bias of O(step)."""

    def move(chains: Float[Tensor, "C D"], noise: Noise) -> Float[Tensor, "C D"]:
        for moved in ula(score_of(energy), chains, step=step, steps=steps, noise=noise):
            chains = moved
        return chains

    return move
