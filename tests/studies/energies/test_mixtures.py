import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from benchmarks.studies.energies.forward import Kernel
from benchmarks.studies.energies.mixtures import Mixture, gaussian
from unmask.errors import Error


def assert_moments(x, mixture):
    """Four standard errors: of a mean sqrt(v / n), of a covariance at most sqrt(3 v v / n), tails being light."""
    variance = mixture.covariance.diagonal()
    assert ((x.mean(0) - mixture.mean).abs() < 4 * (variance / len(x)).sqrt()).all()
    allowed = 4 * (3 * torch.outer(variance, variance) / len(x)).sqrt()
    assert ((torch.cov(x.T) - mixture.covariance).abs() < allowed).all()


def test_the_energy_is_minus_the_log_density_of_torchs_mixture(modes, noise):
    peer = MixtureSameFamily(Categorical(modes.weights), MultivariateNormal(modes.means, modes.covariances))
    x = 3 * noise(50).normal("x", 2)
    torch.testing.assert_close(modes(x), -peer.log_prob(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(modes.mean, peer.mean)
    torch.testing.assert_close(modes.covariance.diagonal(), peer.variance)


def test_samples_have_the_stated_moments(modes, noise):
    x = modes.sample(noise(40_000))
    assert_moments(x, modes)
    share = (x[:, 0] < -0.5).float().mean()
    assert abs(float(share) - 0.5) < 4 * (0.25 / len(x)) ** 0.5


def test_a_noised_mixture_is_the_law_of_its_noised_samples(modes, noise):
    kernel = Kernel(0.6, 0.8)
    noised = modes.noised(kernel)
    x = kernel.apply(modes.sample(noise(40_000)), noise(40_000, seed=1))
    assert_moments(x, noised)
    # The whole law, not its moments alone: the mean energy is the entropy, against fresh samples of the noised mixture.
    fresh = noised(noised.sample(noise(40_000, seed=2)))
    assert abs(float(noised(x).mean() - fresh.mean())) < 4 * float(fresh.std()) * (2 / len(x)) ** 0.5


def test_what_is_no_distribution_is_refused():
    eye = torch.eye(2)
    with pytest.raises(Error, match="sum to 1"):
        Mixture(torch.tensor([0.5, 0.6]), torch.zeros(2, 2), torch.stack([eye, eye]))
    with pytest.raises(Error, match="positive definite"):
        gaussian(torch.zeros(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
