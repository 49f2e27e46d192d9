import pytest
import torch

from unmask.diffusion.schedules import get_schedule
from unmask.diffusion.times import _END, Times, spread

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


SCHEDULES = "linear cosine raised_cosine sqrt sigmoid exponential polynomial:0.25 polynomial:0.5 polynomial:3".split()


@pytest.mark.parametrize("times", SHAPES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_bounds_weights_integrate_to_one_whatever_the_schedule_and_the_times(schedule, times):
    """The mean of weight x rate x f(rate) over u is the integral of f up to the largest rate, for f = 1 and f = rate.

    Tolerance: one in a thousand, of the sums over the two ends and the middle.
    """
    ends = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000 * _END
    middle = _END + (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000 * (1 - 2 * _END)
    shape = get_schedule(schedule)
    top = float(shape(torch.tensor([times.upper], dtype=torch.float64)))
    found = torch.zeros(2, dtype=torch.float64)
    for u, mass in ((ends, _END), (middle, 1 - 2 * _END), (1 - ends, _END)):
        rate, weight = times.weighted(shape, u)
        found += mass * torch.stack([(weight * rate).mean(), (weight * rate * rate).mean()])
    assert found[0] == pytest.approx(top, rel=1e-3)
    assert found[1] == pytest.approx(top**2 / 2, rel=1e-3)


def test_a_rate_of_zero_has_a_finite_weight():
    rate, weight = Times().weighted(get_schedule("sqrt"), torch.zeros(1, dtype=torch.float64))
    assert float(rate) == 0 and bool(weight.isfinite().all())


def test_uniform_times_under_the_linear_schedule_keep_their_rates_and_weights():
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    rate, weight = Times().weighted(get_schedule("linear"), u)
    torch.testing.assert_close(rate, Times().draw(u), atol=1e-4, rtol=0)
    torch.testing.assert_close(weight, 1 / u)
