"""Small worlds whose answers are known, in the plane besides."""

import pytest
import torch

from benchmarks.studies.energies.mixtures import Mixture
from roots.energies.conftest import noise, random_graph, random_ising  # noqa: F401


@pytest.fixture
def modes():
    """Three Gaussians of unequal weight in the plane, far apart in units of their width."""
    root = torch.tensor([[[0.5, 0.0], [0.2, 0.4]], [[0.4, 0.0], [0.0, 0.6]], [[0.5, 0.0], [-0.2, 0.3]]])
    means = torch.tensor([[-3.0, 0.0], [2.0, 2.0], [2.0, -3.0]])
    return Mixture(torch.tensor([0.5, 0.3, 0.2]), means, root @ root.mT)
