import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.studies.energies.energy import score_of
from benchmarks.studies.energies.forward import Kernel, noise_levels, variance_exploding, variance_preserving
from benchmarks.studies.energies.langevin import ula
from unmask.errors import Error

times = st.floats(0, 5)


@given(times, times)
def test_noising_twice_is_noising_once_for_longer(a, b):
    both = variance_preserving(a).then(variance_preserving(b))
    assert both == pytest.approx(variance_preserving(a + b), abs=1e-9)
    assert variance_exploding(a).then(variance_exploding(b)) == pytest.approx((1, math.hypot(a, b)), abs=1e-9)


@given(times)
def test_variance_preserving_keeps_unit_variance(t):
    kernel = variance_preserving(t)
    assert kernel.scale**2 + kernel.sigma**2 == pytest.approx(1)
    assert variance_preserving(0) == (1, 0) and variance_preserving(40) == pytest.approx((0, 1))


def test_applied_noise_has_the_kernels_moments(noise):
    x = Kernel(0.5, 2.0).apply(torch.full((20_000, 1), 3.0), noise(20_000))
    assert abs(float(x.mean()) - 1.5) < 4 * 2 / math.sqrt(20_000)
    assert abs(float(x.var()) - 4) < 4 * 4 * math.sqrt(2 / 20_000)


def test_the_ornstein_uhlenbeck_marginals_are_those_of_langevin_in_a_standard_gaussian(noise):
    step, steps, chains = 0.01, 60, 20_000
    score = score_of(lambda x: x.square().sum(-1) / 2)
    *_, x = ula(score, torch.full((chains, 1), 3.0), step=step, steps=steps, noise=noise(chains))
    scale, sigma = variance_preserving(step * steps)
    # 4 standard errors, and Euler's error of O(step): (1 - h)^n against e^-hn.
    assert abs(float(x.mean()) - 3 * scale) < 4 * sigma / math.sqrt(chains) + 3 * scale * steps * step**2 / 2
    assert abs(float(x.var()) - sigma**2) < 4 * sigma**2 * math.sqrt(2 / chains) + step


def test_levels_fall_by_a_constant_factor():
    levels = noise_levels(8, 0.5, 5)
    torch.testing.assert_close(levels, torch.tensor([8, 4, 2, 1, 0.5]))
    for wrong in ((1, 2, 5), (1, 0, 5), (2, 1, 1)):
        with pytest.raises(Error, match="noise levels"):
            noise_levels(*wrong)
