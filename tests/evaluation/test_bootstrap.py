"""Intervals cover what they claim to cover: documents, seeds, and the difference of two rivals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unmask.evaluation.bootstrap import interval, paired_interval, paired_ratio, seed_interval

LN2 = math.log(2)


def world(rng, seeds: int, spread: float, documents: int = 60, truth: float = 2.0):
    """Nats of S runs whose bits per byte vary by ``spread`` from seed to seed, on documents that vary too."""
    sizes = rng.integers(200, 1500, documents).astype(float)
    difficulty = rng.gamma(50, 1 / 50, documents)
    each = truth + spread * rng.standard_normal(seeds)
    return sizes * difficulty * LN2 * each[:, None], sizes


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_an_interval_over_several_seeds_covers_the_recipe_not_the_run(seeds):
    rng = np.random.default_rng(seeds)
    wide = narrow = 0
    for number in range(400):
        nats, sizes = world(rng, seeds, spread=0.15)
        low, high = interval(nats, sizes, resamples=400, seed=number)
        wide += low <= 2 <= high
        low, high = interval(nats.mean(0), sizes, resamples=400, seed=number)
        narrow += low <= 2 <= high
    assert wide / 400 >= 0.91, "documents and seeds"
    assert narrow / 400 < 0.75, "documents alone claim too much"


def test_a_difference_of_recipes_takes_the_seeds_of_both_into_account():
    rng = np.random.default_rng(0)
    covered, fooled = 0, 0
    for number in range(300):
        a, sizes = world(rng, 3, spread=0.1)
        ratio = 1 + 0.1 * rng.standard_normal(3)[:, None]
        b = a.mean(0) * ratio  # the same recipe with three other seeds: the true difference is 0
        low, high = paired_interval(a, b, sizes, resamples=300, seed=number)
        covered += low <= 0 <= high
        low, high = paired_interval(a.mean(0), b.mean(0), sizes, resamples=300, seed=number)
        fooled += not low <= 0 <= high
    assert covered / 300 >= 0.91
    assert fooled / 300 > 0.5, "without the seeds most nulls would be called differences"


def test_a_ratio_is_that_of_the_bits_per_byte_and_narrow_on_the_same_documents():
    rng = np.random.default_rng(1)
    nats, sizes = world(rng, 1, spread=0.0)
    low, high = paired_ratio(nats * 1.02, nats, sizes)
    assert low == pytest.approx(1.02) and high == pytest.approx(1.02)
    assert paired_ratio(nats[:, :1], nats[:, :1], sizes[:1]) is None


def test_one_seed_is_the_old_interval_and_none_has_none():
    rng = np.random.default_rng(2)
    nats, sizes = world(rng, 1, spread=0.0)
    assert interval(nats, sizes) == interval(nats[0], sizes)
    assert seed_interval(np.array([1.0])) is None


def test_the_interval_over_seeds_is_students():
    low, high = seed_interval(np.array([1.0, 2.0, 4.0]))
    half = 4.302652729911275 * np.std([1, 2, 4], ddof=1) / math.sqrt(3)  # t of two degrees, 97.5 %
    assert (low, high) == pytest.approx((7 / 3 - half, 7 / 3 + half))
