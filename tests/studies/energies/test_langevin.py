import math

import pytest
import torch

from benchmarks.studies.energies.energy import energy_and_score, score_of
from benchmarks.studies.energies.langevin import Point, log_acceptance, mala, ula
from benchmarks.studies.energies.mixtures import Mixture, gaussian
from unmask.errors import Error


def well(x):
    return (x.square() - 1).square().sum(-1) + 0.3 * x.sum(-1)


def settled(path, burn, every):
    """Return the places of all chains, from step ``burn`` on, each ``every`` steps."""
    return torch.cat([p.x if isinstance(p, Point) else p for k, p in enumerate(path) if k >= burn and k % every == 0])


@pytest.fixture
def near():
    """A mixture whose modes touch, so that a chain passes between them."""
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]])
    covariances = torch.tensor([[[0.5, 0.2], [0.2, 0.4]], [[0.3, 0.0], [0.0, 0.6]]])
    return Mixture(torch.tensor([0.7, 0.3]), means, covariances)


def test_ula_has_the_bias_that_the_step_predicts(noise):
    # x' = (1 - h/v) x + sqrt(2h) eps settles at 2h / (1 - (1 - h/v)^2) = v / (1 - h/2v).
    v, h = torch.tensor([1.0, 0.25]), 0.2
    path = ula(score_of(gaussian(torch.zeros(2), v.diag())), torch.zeros(4000, 2), step=h, steps=140, noise=noise(4000))
    x = settled(path, 40, 20)
    # 4 standard errors; 20 steps apart the correlation is below (1 - h/v)^20 = 0.012.
    assert ((x.var(0) / (v / (1 - h / (2 * v))) - 1).abs() < 4 * math.sqrt(2 / len(x))).all()
    assert ((x.var(0) / v - 1) > [0.08, 0.5][0]).all(), "the bias is there to be seen"


def test_ula_explodes_from_twice_the_variance_on(noise):
    score = score_of(gaussian(torch.zeros(1), torch.eye(1)))
    *_, calm = ula(score, torch.zeros(100, 1), step=1.9, steps=200, noise=noise(100))
    *_, wild = ula(score, torch.zeros(100, 1), step=2.1, steps=200, noise=noise(100))
    assert calm.abs().max() < 30 and wild.abs().min() > 30


def test_mala_has_no_bias_at_the_step_at_which_ula_has(near, noise):
    x, moved = [], []
    for k, point in enumerate(mala(near, torch.zeros(4000, 2), step=0.25, steps=180, noise=noise(4000))):
        moved.append(point.accepted.float().mean())
        if k >= 60 and k % 30 == 0:
            x.append(point.x)
    x = torch.cat(x)
    assert 0.5 < float(torch.stack(moved).mean()) < 0.95
    # 4 standard errors as if 4000 chains were all there is: states 30 steps apart are not quite independent.
    variance = near.covariance.diagonal()
    assert ((x.mean(0) - near.mean).abs() < 4 * (variance / 4000).sqrt()).all()
    assert ((torch.cov(x.T) - near.covariance).abs() < 4 * (2 * torch.outer(variance, variance) / 4000).sqrt()).all()
    biased = settled(ula(score_of(near), torch.zeros(4000, 2), step=0.25, steps=180, noise=noise(4000)), 60, 30)
    error = (torch.cov(biased.T) - near.covariance).diagonal()
    assert float((error / variance).max()) > 2 * 4 * math.sqrt(2 / 4000), "ULA's bias is there to be seen"


def test_mala_satisfies_detailed_balance_and_keeps_its_law():
    # The transition matrix between 401 points of a line: q(x -> y) min(1, exp r) dx off the diagonal.
    h = 0.15
    grid = torch.linspace(-3.5, 3.5, 401, dtype=torch.float64)[:, None]
    width = float(grid[1] - grid[0])
    slope = -(4 * grid * (grid.square() - 1) + 0.3)
    law = (-well(grid)).softmax(0)
    i, j = (part.flatten() for part in torch.meshgrid(torch.arange(401), torch.arange(401), indexing="ij"))
    here, there = (
        Point(grid[k], *energy_and_score(well, grid[k]), torch.ones(len(k), dtype=torch.bool)) for k in (i, j)
    )
    proposal = torch.exp(-(grid.T - grid - h * slope).square() / (4 * h)) / math.sqrt(4 * math.pi * h)
    taken = log_acceptance(here, there, h).view(401, 401).exp().clamp(max=1)
    flow = law[:, None] * proposal * taken
    torch.testing.assert_close(flow, flow.T, rtol=1e-9, atol=1e-15)
    assert (proposal * taken - (proposal * taken).T).abs().max() > 0.01
    move = proposal * taken * width
    move = move + (1 - move.sum(1)).diag()
    assert move.min() >= 0
    torch.testing.assert_close(law @ move, law)


def test_a_step_of_mala_is_reversible_as_it_runs(near, noise):
    # Chains start in the law: (before, after) must have the same law as (after, before).
    n = 60_000
    before = near.sample(noise(n, seed=5))
    (point,) = mala(near, before, step=0.5, steps=1, noise=noise(n))
    after = point.x
    assert 0.3 < float(point.accepted.float().mean()) < 0.8
    for f, g in ((lambda x: x[:, 0], lambda x: x[:, 1].square()), (near, lambda x: x[:, 0])):
        difference = f(before) * g(after) - g(before) * f(after)
        assert abs(float(difference.mean())) < 4 * float(difference.std()) / math.sqrt(n)
    torch.testing.assert_close(point.energy, near(after))
    torch.testing.assert_close(point.score, score_of(near)(after))


def test_a_chain_does_not_depend_on_its_batch_mates_and_a_seed_repeats_it(noise):
    start = noise(5, seed=9).normal("start", 3)
    of = lambda noise, x: [  # noqa: E731
        *ula(score_of(well), x, step=0.05, steps=10, noise=noise),
        *(point.x for point in mala(well, x, step=0.05, steps=10, noise=noise)),
    ]
    together = of(noise(5), start)
    alone = of(type(noise(1))(0, torch.tensor([3])), start[3:4])
    again, other = of(noise(5), start), of(noise(5, seed=1), start)
    for a, b, c, d in zip(together, alone, again, other, strict=True):
        assert torch.equal(a[3:4], b) and torch.equal(a, c) and not torch.equal(a, d)
    assert not torch.equal(together[9][0] - together[8][0], together[8][0] - together[7][0])


def test_a_place_without_energy_is_never_entered(noise):
    def half_line(x):
        return torch.where(x[:, 0] > 0, x[:, 0], torch.nan)

    for point in mala(half_line, torch.ones(200, 1), step=0.5, steps=50, noise=noise(200)):
        assert (point.x > 0).all()


def test_a_step_must_be_positive(noise):
    with pytest.raises(Error, match="positive"):
        next(ula(lambda x: -x, torch.zeros(1, 1), step=0, steps=1, noise=noise(1)))
