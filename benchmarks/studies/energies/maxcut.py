"""The largest cut of a weighted graph as an Ising energy, with the sign that is easily got wrong.

    cut(s) = sum_(i,j) w_ij [s_i != s_j] = (W - sum_(i,j) w_ij s_i s_j) / 2,     W = sum w

so the largest cut is the lowest energy of J = -w, and cut = (W - E) / 2. J = +w finds the *smallest* cut. To part the
dissimilar, w is a dissimilarity, such as 1 - cosine or minus the centred cosine; J = similarity keeps the similar
together and, without a field or a balance, puts all on one side (the original ROOTS called that a maximum cut).

Letters: B states, N nodes, E pairs.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from unmask.roots.energies.graph import Graph
from unmask.roots.energies.ising import Ising


def max_cut(graph: Graph, weights: Float[Tensor, " E"]) -> Ising:
    """Return the energy whose lowest state is the largest cut of the weights."""
    return Ising(graph, weights.new_zeros(graph.nodes), -weights)


def cut(energy: Ising, state: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """Return the weight between the two sides, of each state; ``energy`` is from ``max_cut``."""
    return (-energy.couplings.sum() - energy(state)) / 2
