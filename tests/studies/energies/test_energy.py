import torch

from benchmarks.studies.energies.energy import check_score, energy_and_score
from benchmarks.studies.energies.energy_network import EnergyNetwork


def points(rows=3, dimensions=2):
    return torch.randn(rows, dimensions, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def well(x):
    return (x.square() - 1).square().sum(-1) + x[:, 0] * x[:, 1]


def test_the_score_is_minus_the_gradient_of_the_energy(modes):
    double = type(modes)(*(part.double() for part in (modes.weights, modes.means, modes.covariances)))
    network = EnergyNetwork(torch.zeros(2), 1.0, width=16).double()
    sigma = torch.full((len(points()),), 0.5, dtype=torch.float64)
    for energy in (well, double, lambda x: network(x, sigma[: len(x)].expand(len(x)) if len(x) <= 3 else sigma)):
        assert check_score(energy, points()) < 1e-6


def test_the_check_catches_scores_that_are_none():
    x = points()
    half = energy_and_score(well, x)[1] / 2
    assert check_score(well, x, lambda x: half) > 0.1, "a factor"
    assert check_score(well, x, lambda x: 2 * -half) > 0.1, "the sign"
    assert check_score(lambda x: well(x) + x.detach().square().sum(-1), x) > 0.1, "a part without gradient"
    assert check_score(lambda x: well(x) + x.mean(0).square().sum(), x) > 0.01, "rows that mix"


def test_an_energy_can_be_trained_through_its_score():
    stiffness = torch.tensor(2.0, requires_grad=True)
    x = torch.ones(4, 3)
    _, score = energy_and_score(lambda x: stiffness * x.square().sum(-1) / 2, x, create_graph=True)
    score.sum().backward()
    assert float(stiffness.grad) == -12 and not x.requires_grad
    value, score = energy_and_score(lambda x: stiffness * x.square().sum(-1) / 2, x)
    assert not value.requires_grad and not score.requires_grad
