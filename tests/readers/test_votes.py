"""Rates of votes have exact intervals, and agreement is Krippendorff's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.readers.votes import agreement, rate


def test_the_interval_is_that_of_clopper_and_pearson_and_fits_the_sign_test() -> None:
    found = rate(8, 10)
    assert found.interval == pytest.approx((0.4439, 0.9748), abs=1e-4)  # a published table's row
    assert found.p_value == pytest.approx(2 * (45 + 10 + 1) / 1024)
    for of in (1, 5, 9, 20, 41):
        for count in range(of + 1):
            found = rate(count, of)
            assert found.differs == (found.p_value < 0.05)
            assert found.interval[0] <= count / of <= found.interval[1]
    assert rate(5, 5).p_value > 0.05 and not rate(5, 5).differs and rate(6, 6).differs


def test_of_nothing_nothing_is_said() -> None:
    found = rate(0, 0)
    assert (found.rate, found.interval, found.p_value, found.differs) == (None, (0.0, 1.0), 1.0, False)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_preference_is_said_exactly_where_the_sign_test_says_so(wins, losses):
    found = rate(wins, wins + losses)
    assert found.differs == (found.p_value < 0.05)
    assert found.rate is None or found.interval[0] <= found.rate <= found.interval[1]
    other = rate(losses, wins + losses).interval
    assert found.interval == pytest.approx((1 - other[1], 1 - other[0])), "neither side is favoured"


def test_the_interval_covers_the_truth_at_least_95_times_in_100() -> None:
    counts = np.random.default_rng(0).binomial(30, 0.6, 500)
    held = sum(low <= 0.6 <= high for low, high in (rate(int(c), 30).interval for c in counts))
    assert held / 500 >= 0.93  # conservative by construction; two standard errors of 500 worlds are 0.02


def test_alpha_is_that_of_krippendorffs_worked_example() -> None:
    """Krippendorff 2011, example C: four observers, twelve units, missing answers; nominal alpha = 0.743."""
    rows = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    answers = np.array([[int(x) - 1 if x != "." else -1 for x in row.split()] for row in rows])
    share, alpha = agreement(answers, 5)
    assert alpha == pytest.approx(0.743, abs=5e-4) and 0.7 < share < 1


def test_agreement_of_full_none_and_chance() -> None:
    rng = np.random.default_rng(0)
    same = np.tile(rng.integers(0, 3, 50), (3, 1))
    assert agreement(same, 3) == (1.0, 1.0)
    share, alpha = agreement(rng.integers(0, 3, (2, 4000)), 3)
    assert share == pytest.approx(1 / 3, abs=0.03) and alpha == pytest.approx(0, abs=0.05)
    assert agreement(same[:1], 3) == (None, None)
    assert agreement(np.zeros((2, 5), int), 3) == (1.0, None)
