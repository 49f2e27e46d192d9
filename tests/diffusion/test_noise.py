import math

import pytest
import torch

from unmask.diffusion.noise import Noise

N = 20_000


def noise(*keys: int, seed: int = 0) -> Noise:
    return Noise(seed, torch.tensor(keys))


SOURCES = {
    "along a row": lambda: noise(5).uniform("a", N)[0],
    "across rows": lambda: Noise(0, torch.arange(N)).uniform("a", 1)[:, 0],
    "across seeds": lambda: torch.cat([noise(0, seed=s).uniform("a", 1)[0] for s in range(2000)]),
    "across folds": lambda: Noise(0, torch.zeros(N, dtype=torch.int64)).fold(torch.arange(N)).uniform("a", 1)[:, 0],
    "across streams": lambda: torch.cat([noise(0).uniform(f"stream {i}", 1)[0] for i in range(2000)]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_draws_are_uniform(name):
    u = SOURCES[name]().sort().values
    n = len(u)
    assert u.min() >= 0 and u.max() < 1
    # Kolmogorov-Smirnov: sqrt(n) D exceeds 1.95 with probability 0.001.
    assert math.sqrt(n) * (u - (torch.arange(n) + 0.5) / n).abs().max() < 1.95
    assert len(u.unique()) == n


PAIRS = {
    "streams": lambda: (noise(0).uniform("a", N)[0], noise(0).uniform("b", N)[0]),
    "rows": lambda: tuple(noise(7, 8).uniform("a", N)),
    "seeds": lambda: (noise(0, seed=1).uniform("a", N)[0], noise(0, seed=2).uniform("a", N)[0]),
    "neighbours": lambda: (noise(0).uniform("a", N + 1)[0, :-1], noise(0).uniform("a", N + 1)[0, 1:]),
    "neighbouring rows": lambda: (
        Noise(0, torch.arange(N)).uniform("a", 1)[:, 0],
        Noise(0, torch.arange(1, N + 1)).uniform("a", 1)[:, 0],
    ),
    "a row and its fold": lambda: (
        noise(0).uniform("a", N)[0],
        noise(0).fold(torch.tensor([0])).uniform("a", N)[0],
    ),
    "swapped folds": lambda: (
        noise(0).fold(torch.tensor([1]), torch.tensor([2])).uniform("a", N)[0],
        noise(0).fold(torch.tensor([2]), torch.tensor([1])).uniform("a", N)[0],
    ),
    "seed and key swapped": lambda: (noise(3, seed=4).uniform("a", N)[0], noise(4, seed=3).uniform("a", N)[0]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_draws_of_other_streams_rows_and_seeds_are_independent(name):
    a, b = PAIRS[name]()
    cells = torch.bincount((a * 16).long() * 16 + (b * 16).long(), minlength=256)
    expected = N / 256
    # Chi-squared with 255 degrees of freedom exceeds 330 with probability 0.001.
    assert ((cells - expected) ** 2 / expected).sum() < 330


def test_a_rows_noise_does_not_depend_on_its_batch_mates_or_on_how_much_is_drawn():
    together = Noise(3, torch.tensor([9, 2, 5])).fold(torch.tensor([1, 1, 1])).uniform("mask", 10)
    alone = Noise(3, torch.tensor([5])).fold(torch.tensor([1])).uniform("mask", 4)
    assert torch.equal(together[2, :4], alone[0])


def test_noise_is_the_same_on_every_machine_and_in_every_version():
    drawn = Noise(1, torch.tensor([0, 2])).fold(torch.tensor([3, 4])).uniform("mask", 2)
    assert drawn.flatten().tolist() == [0.8278545061872508, 0.7968012266460441, 0.05022754319433087, 0.8329799337665301]


def test_large_and_negative_seeds_are_good_seeds():
    for seed in (-1, 2**31, 2**62):
        u = Noise(seed, torch.tensor([2**40])).uniform("a", 4000)[0]
        assert abs(float(u.mean()) - 0.5) < 4 * 0.289 / math.sqrt(4000)
