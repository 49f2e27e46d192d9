import pytest
import torch

from unmask.diffusion.times import Times, spread

SHAPES = [Times(), Times(upper=0.4), Times("bell"), Times("bell", upper=0.4), Times("bell", center=1.0, width=0.5)]


@pytest.mark.parametrize("start", [0, 17, 12345, 10**9])
@pytest.mark.parametrize("size", [2, 8, 33, 256])
def test_any_window_of_examples_is_spread_evenly(start, size):
    u = spread(5, start + torch.arange(size)).sort().values
    gaps = torch.cat([u.diff(), u[:1] + 1 - u[-1:]])
    # The golden ratio keeps the largest gap below 1.9 / size; random points leave log(size) / size.
    assert gaps.max() < 2 / size
    assert gaps.min() > 0.3 / size


def test_each_seed_starts_elsewhere_and_an_example_keeps_its_time():
    order = torch.arange(100)
    assert torch.equal(spread(1, order)[40:50], spread(1, order[40:50]))
    assert len({round(float(spread(seed, order[:1])), 6) for seed in range(50)}) == 50


@pytest.mark.parametrize("times", SHAPES)
def test_the_density_integrates_to_one_and_is_the_draws_histogram(times):
    n, bins = 200_000, 20
    t = (torch.arange(n, dtype=torch.float64) + 0.5) / n * times.upper
    density = times.density(t)
    assert float(density.sum()) * times.upper / n == pytest.approx(1, abs=1e-3)
    drawn = times.draw((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    assert drawn.min() > 0 and drawn.max() <= times.upper
    share = torch.histc(drawn, bins, 0, times.upper) / n
    mass = density.view(bins, -1).sum(1) * times.upper / n
    torch.testing.assert_close(share, mass, atol=2e-3, rtol=0)
