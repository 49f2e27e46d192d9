"""Intervals cover what they claim to cover: few documents, uneven and skewed ones, seeds, rivals, shares.

Coverage is counted over 1,500 drawn worlds unless said otherwise, where four standard errors of 95 % are 2.3 points.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind

from unmask.errors import Error
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.intervals import (
    interval,
    over_documents,
    paired_interval,
    paired_ratio,
    ratio_interval,
    seed_difference,
    seed_interval,
    share_interval,
)

LN2 = math.log(2)
WORLDS = 1500


def rates(kind: str, rng: np.random.Generator, documents: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return nats and sizes of some documents, and the true ratio."""
    if kind == "normal":
        sizes = rng.integers(200, 1500, documents).astype(float)
        return sizes * rng.normal(2, 0.4, documents), sizes, 2.0
    if kind == "uneven sizes":  # most of them within a factor of 50
        sizes = np.exp(rng.normal(5, 1, documents)).round() + 1
        return sizes * np.exp(rng.normal(0.3, 0.25, documents)), sizes, math.exp(0.3 + 0.25**2 / 2)
    sizes = rng.integers(200, 1500, documents).astype(float)
    return sizes * rng.exponential(1, documents), sizes, 1.0  # skewness 2, more than bits per byte of real text have


@pytest.mark.parametrize("documents", [2, 3, 5, 10, 20])
@pytest.mark.parametrize(("kind", "least"), [("normal", 0.95), ("uneven sizes", 0.95), ("skewed", 0.91)])
def test_intervals_over_few_documents_hold_the_truth_as_often_as_they_say(kind, least, documents):
    rng = np.random.default_rng(documents)
    held = 0
    for _ in range(WORLDS):
        nats, sizes, truth = rates(kind, rng, documents)
        low, high = ratio_interval(nats, sizes)
        held += low <= truth <= high
    assert held / WORLDS >= least - 0.023, "t of N - 1 degrees on the ratio has 85 % where sizes are uneven"


def test_documents_of_one_size_give_students_interval():
    values = np.random.default_rng(0).normal(size=7)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert ratio_interval(values, np.ones(7)) == pytest.approx((expected.low, expected.high))
    assert over_documents(values * 30, np.full(7, 30.0)) == pytest.approx((values.var(ddof=1) / 7, 6.0))


def test_one_long_document_among_short_ones_leaves_few_degrees():
    values = np.random.default_rng(0).normal(2, 0.3, 20)
    sizes = np.array([20_000.0, *[100.0] * 19])
    assert over_documents(values * sizes, sizes)[1] < 2 < over_documents(values, np.ones(20))[1]
    alone = np.array([1.0, *[0.0] * 19])
    assert ratio_interval(values * alone, alone) is None, "one document with all the bytes is one document"


def world(rng, seeds: int, spread: float, documents: int = 60, truth: float = 2.0):
    """Nats of S runs whose bits per byte vary by ``spread`` from seed to seed, on documents that vary too."""
    sizes = rng.integers(200, 1500, documents).astype(float)
    difficulty = rng.gamma(50, 1 / 50, documents)
    each = truth + spread * rng.standard_normal(seeds)
    return sizes * difficulty * LN2 * each[:, None], sizes


@pytest.mark.parametrize("spread", [0.02, 0.15])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_an_interval_over_several_seeds_covers_the_recipe_not_the_run(seeds, spread):
    rng = np.random.default_rng(seeds)
    wide = narrow = 0
    for _ in range(WORLDS):
        nats, sizes = world(rng, seeds, spread)
        low, high = interval(nats, sizes)
        wide += low <= 2 <= high
        low, high = interval(nats.mean(0), sizes)
        narrow += low <= 2 <= high
    assert 0.927 <= wide / WORLDS < 0.99, "documents and seeds"
    assert narrow < wide and (spread < 0.1 or narrow / WORLDS < 0.75), "documents alone claim too much"


@pytest.mark.parametrize(("seeds", "documents"), [(2, 60), (2, 5), (3, 60)])
def test_a_difference_of_recipes_takes_the_seeds_of_both_into_account(seeds, documents):
    rng = np.random.default_rng(seeds + documents)
    covered = fooled = 0
    for _ in range(WORLDS):
        sizes = rng.integers(200, 1500, documents).astype(float)
        rate = 2 + 0.2 * rng.normal(size=documents)
        a = sizes * LN2 * (rate + 0.1 * rng.normal(size=(seeds, 1)))  # recipes that are equally good
        b = sizes * LN2 * (2 + 0.1 * rng.normal(size=(seeds, 1)))
        low, high = paired_interval(a, b, sizes)
        covered += low <= 0 <= high
        low, high = paired_interval(a.mean(0), b.mean(0), sizes)
        fooled += not low <= 0 <= high
    assert 0.927 <= covered / WORLDS <= (0.99 if documents > 5 else 0.995), "two seeds a side cover 98 %, not 100"
    assert fooled / WORLDS > (0.3 if documents > 5 else 0.06), "without the seeds nulls are called differences"


def test_a_ratio_is_that_of_the_bits_per_byte_and_narrow_on_the_same_documents():
    rng = np.random.default_rng(1)
    nats, _ = world(rng, 1, spread=0.0)
    assert paired_ratio(nats * 1.02, nats) == pytest.approx((1.02, 1.02))
    assert paired_ratio(nats[:, :1], nats[:, :1]) is None
    assert paired_ratio(nats, 0 * nats) is None, "nothing has a ratio to nothing"
    held = 0
    for _ in range(WORLDS):
        a, b = (rng.integers(200, 1500, 6) * LN2 * rate * rng.gamma(30, 1 / 30, 6) for rate in (2.2, 2.0))
        low, high = paired_ratio(a, b)
        held += low <= 1.1 <= high
    assert held / WORLDS >= 0.927


def test_one_run_speaks_of_itself_and_one_document_of_nothing():
    nats, sizes = world(np.random.default_rng(2), 1, spread=0.0)
    assert interval(nats, sizes) == interval(nats[0], sizes)
    assert interval(nats[:, :1], sizes[:1]) is None and paired_interval(nats[:, :1], nats[:, :1], sizes[:1]) is None
    assert seed_interval(np.array([1.0])) is None and seed_difference(np.ones(1), np.ones(3)) is None
    assert interval(np.array([1.0, 90.0]), np.array([10.0, 10.0]))[0] == 0, "bits per byte are not below 0"


def test_the_intervals_over_seeds_are_students_and_welchs():
    a, b = np.array([1.0, 2.0, 4.0]), np.array([1.5, 1.9, 1.4, 1.6])
    expected = ttest_1samp(a, 0).confidence_interval(0.95)
    assert seed_interval(a) == pytest.approx((expected.low, expected.high))
    expected = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert seed_difference(a, b) == pytest.approx((expected.low, expected.high))
    assert seed_difference(np.full(2, 2.0), np.full(3, 1.0)) == (1.0, 1.0), "seeds that all say the same are a point"


@pytest.mark.parametrize("documents", [2, 5, 20])
@pytest.mark.parametrize(("each", "truth"), [(1, 0.1), (1, 0.5), (20, 0.05), (20, 0.7)])
def test_intervals_of_shares_hold_the_truth_and_stay_within_0_and_1(each, truth, documents):
    rng = np.random.default_rng(documents)
    held = 0
    for _ in range(WORLDS):
        counts = rng.integers(max(1, each // 2), each + each // 2 + 1, documents)
        hits = rng.binomial(counts, rng.beta(8 * truth, 8 * (1 - truth), documents))
        low, high = share_interval(hits.astype(float), counts.astype(float))
        held += low <= truth <= high
        assert 0 <= low <= hits.sum() / counts.sum() <= high <= 1
    assert held / WORLDS >= 0.91


def test_outcomes_that_are_all_the_same_do_not_make_a_share_certain():
    document = np.repeat(np.arange(10), 30)
    assert mean_interval(document, 10, np.zeros(300), share=True) == pytest.approx((0, 1 - 0.025**0.1))
    assert mean_interval(document, 10, np.ones(300), share=True) == pytest.approx((0.025**0.1, 1))
    assert mean_interval(document, 10, np.zeros(300)) == (0, 0)


@given(st.lists(st.floats(), min_size=2, max_size=6), st.floats())
def test_numbers_that_are_not_finite_get_no_interval(values, one):
    """Any floats at all: an interval around the estimate, none, or an error that says why; never NaN."""
    nats = np.array([*values, one])
    sizes = np.arange(1.0, len(nats) + 1)
    for call in (
        lambda: ratio_interval(nats, sizes),
        lambda: interval(nats, sizes),
        lambda: paired_interval(nats, sizes, sizes),
        lambda: paired_ratio(sizes, nats),
        lambda: seed_interval(nats),
        lambda: seed_difference(nats, sizes),
    ):
        try:
            with np.errstate(all="ignore"):
                span = call()
        except Error as error:
            assert "not finite" in str(error)
        else:
            assert np.isfinite(nats).all() and (span is None or span[0] <= span[1])
