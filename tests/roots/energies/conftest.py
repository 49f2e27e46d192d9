"""Small worlds whose answers are known."""

import pytest
import torch

from benchmarks.studies.energies.potts import Potts
from unmask.diffusion.noise import Noise
from unmask.roots.energies.graph import make_graph
from unmask.roots.energies.ising import Ising


@pytest.fixture
def noise():
    """Make one row of noise a chain: ``noise(chains, seed=0)``."""
    return lambda chains, seed=0: Noise(seed, torch.arange(chains))


@pytest.fixture
def random_graph():
    """Make a random graph and normal weights, float64: ``random_graph(nodes, share=0.5, seed=0)``."""

    def make(nodes, share=0.5, seed=0):
        draw = torch.Generator().manual_seed(seed)
        pairs = torch.combinations(torch.arange(nodes))
        pairs = pairs[torch.rand(len(pairs), generator=draw) < share]
        return make_graph(pairs, torch.randn(len(pairs), generator=draw, dtype=torch.float64), nodes)

    return make


@pytest.fixture
def random_ising(random_graph):
    """Make a random Ising energy: ``random_ising(nodes, scale=0.5, seed=0)``."""

    def make(nodes, scale=0.5, seed=0, share=0.5):
        graph, weights = random_graph(nodes, share, seed)
        draw = torch.Generator().manual_seed(seed + 1)
        return Ising(graph, scale * torch.randn(nodes, generator=draw, dtype=torch.float64), scale * weights)

    return make


@pytest.fixture
def random_potts(random_graph):
    """Make a random Potts energy: ``random_potts(nodes, values, scale=0.7, seed=0)``."""

    def make(nodes, values, scale=0.7, seed=0, share=0.5):
        graph, weights = random_graph(nodes, share, seed)
        draw = torch.Generator().manual_seed(seed + 1)
        return Potts(graph, scale * torch.randn(nodes, values, generator=draw, dtype=torch.float64), scale * weights)

    return make


@pytest.fixture(params=["ising", "potts"])
def small(request, random_ising, random_potts):
    """Make a small energy of each kind: ``small(nodes)``."""
    return random_ising if request.param == "ising" else lambda nodes, **more: random_potts(nodes, 3, **more)
