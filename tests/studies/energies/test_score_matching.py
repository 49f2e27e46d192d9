import math

import pytest
import torch

from benchmarks.studies.energies.annealed import annealed_langevin, denoised
from benchmarks.studies.energies.energy import score_of
from benchmarks.studies.energies.energy_network import EnergyNetwork
from benchmarks.studies.energies.forward import noise_levels, variance_exploding
from benchmarks.studies.energies.langevin import ula
from benchmarks.studies.energies.mixtures import gaussian
from benchmarks.studies.energies.score_matching import denoising_loss
from unmask.diffusion.noise import Noise

LEVELS = noise_levels(6.0, 0.3, 7)


def exact(mixture):
    """Return the true score at each level; rows of one call may have different ones."""

    def score(x, sigma):
        found = torch.empty_like(x)
        for level in sigma.unique():
            at = sigma == level
            found[at] = score_of(mixture.noised(variance_exploding(float(level))))(x[at])
        return found

    return score


def errors(score, mixture, noise, rows=4000):
    """Return E|score - truth|^2 / E|truth|^2 at each level, at noised points."""
    found = []
    for level in LEVELS.tolist():
        x = mixture.noised(variance_exploding(level)).sample(noise(rows, seed=77))
        sigma = torch.full((rows,), level)
        truth = exact(mixture)(x, sigma)
        found.append(float((score(x, sigma) - truth).square().sum() / truth.square().sum()))
    return torch.tensor(found)


def shares(x, mixture):
    """Return the share of points that lie nearest to each mean."""
    return torch.bincount(torch.cdist(x, mixture.means).argmin(1), minlength=len(mixture.means)) / len(x)


def assert_moments(x, mixture, tolerance):
    assert (shares(x, mixture) - mixture.weights).abs().max() < tolerance
    deviation = mixture.covariance.diagonal().sqrt()
    assert ((x.mean(0) - mixture.mean).abs() / deviation).max() < 2 * tolerance
    assert ((torch.cov(x.T) - mixture.covariance).abs() / torch.outer(deviation, deviation)).max() < 4 * tolerance


@pytest.fixture
def trained(modes):
    """An energy trained on samples of the mixture; about two seconds."""
    data = modes.sample(Noise(1, torch.arange(4096)))
    network = EnergyNetwork(data.mean(0), float(data.std(0).mean()), width=64)
    steps = 500
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        keys = torch.arange(128) + 128 * step
        optimiser.zero_grad()
        denoising_loss(network.score, data[keys % len(data)], LEVELS, Noise(2, keys)).mean().backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def test_the_true_score_has_the_least_loss_and_no_score_has_one(modes, noise):
    x = modes.sample(noise(2000))
    loss = {
        name: denoising_loss(score, x, LEVELS, noise(2000, seed=3)).mean(0)
        for name, score in {
            "true": exact(modes),
            "of the Gaussian with its moments": exact(gaussian(modes.mean, modes.covariance)),
            "a tenth too large": lambda x, s: 1.1 * exact(modes)(x, s),
            "of another level": lambda x, s: exact(modes)(x, 1.5 * s),
            "of the other sign": lambda x, s: -exact(modes)(x, s),
            "none": lambda x, s: torch.zeros_like(x),
        }.items()
    }
    for name, found in loss.items():
        assert name == "true" or (found.mean() > loss["true"].mean() + 1e-3), name
    # |eps|^2 / D of 4,000 normals: standard error sqrt(2 / 4000).
    assert ((loss["none"] - 1).abs() < 4 * math.sqrt(2 / 4000)).all()


def test_denoising_recovers_the_score_of_a_mixture_and_annealing_its_law(trained, modes, noise):
    untrained = EnergyNetwork(trained.mean, trained.deviation, width=64).eval()
    found, before, plain = (
        errors(score, modes, noise)
        for score in (trained.score, untrained.score, exact(gaussian(modes.mean, modes.covariance)))
    )
    assert found.max() < 0.08 and found.mean() < 0.04, found
    # At the two highest levels the modes have run together and a Gaussian with the right moments is hard to beat.
    assert (found[2:] < plain[2:] / 4).all() and (found[2:] < before[2:] / 4).all(), (found, plain, before)
    start = trained.mean + float(LEVELS[0]) * noise(2000).normal("start", 2)
    x = annealed_langevin(trained.score, start, LEVELS, step=0.1, steps=20, noise=noise(2000))
    assert_moments(denoised(trained.score, x, float(LEVELS[-1])), modes, 0.05)


def test_annealing_finds_the_shares_of_separated_modes_and_one_level_does_not(modes, noise):
    score = exact(modes)
    start = torch.tensor([-3.0, 0.0]).expand(2000, 2)
    x = annealed_langevin(score, start, LEVELS, step=0.1, steps=25, noise=noise(2000))
    # 4 standard errors of a share, 0.045; of that 0.03 is the bias of these steps. The last level has its noise.
    last = modes.noised(variance_exploding(float(LEVELS[-1])))
    assert (shares(x, modes) - modes.weights).abs().max() < 4 * math.sqrt(0.25 / 2000)
    assert_moments(x, last, 4 * math.sqrt(0.25 / 2000))
    *_, stuck = ula(score_of(modes), start, step=0.02, steps=175, noise=noise(2000))
    assert shares(stuck, modes)[0] > 0.99


def test_each_level_has_steps_of_its_size_and_noise_of_its_own(noise):
    # Where the score is 0 only the noise moves: steps at level sigma add variance 2 c sigma^2 each.
    n, levels = 20_000, torch.tensor([2.0, 1.0, 0.5])
    x = annealed_langevin(lambda x, sigma: 0 * x, torch.zeros(n, 1), levels, step=0.1, steps=3, noise=noise(n))
    wanted = 2 * 0.1 * 3 * float(levels.square().sum())
    assert abs(float(x.var()) / wanted - 1) < 4 * math.sqrt(2 / n)


def test_the_denoised_point_is_the_mean_of_the_clean_one(noise):
    # For a Gaussian: m + v / (v + sigma^2) (x - m).
    clean = gaussian(torch.tensor([2.0]), torch.tensor([[0.5]]))
    x = noise(10).normal("x", 1)
    torch.testing.assert_close(denoised(exact(clean), x, 2.0), 2 + 0.5 / 4.5 * (x - 2))


def test_a_rows_loss_does_not_depend_on_its_batch_mates(modes, noise):
    x = modes.sample(noise(6))
    network = EnergyNetwork(torch.zeros(2), 2.0, width=8).eval()
    together = denoising_loss(network.score, x, LEVELS, noise(6))
    alone = denoising_loss(network.score, x[4:5], LEVELS, Noise(0, torch.tensor([4])))
    torch.testing.assert_close(together[4:5], alone)
    assert together.shape == (6, len(LEVELS)) and len(together.unique()) == together.numel()


def test_every_parameter_of_the_network_learns(modes, noise):
    network = EnergyNetwork(torch.zeros(2), 2.0, width=8)
    denoising_loss(network.score, modes.sample(noise(16)), LEVELS, noise(16)).mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


def test_the_network_begins_as_the_gaussian_with_the_datas_mean_and_variance():
    network = EnergyNetwork(torch.tensor([1.0, -1.0]), 2.0, width=8).eval()
    torch.nn.init.zeros_(network.layers[-1].weight)
    x, sigma = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.full((5,), 0.7)
    truth = exact(gaussian(torch.tensor([1.0, -1.0]), 4 * torch.eye(2)))(x, sigma)
    torch.testing.assert_close(network.score(x, sigma), truth)
