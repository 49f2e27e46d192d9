"""Random patches have the lengths they were given, and their places come from the seed and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from data.patches.parts import ENTROPY, HINDI
from unmask.data.patches import make_patcher
from unmask.data.patches.chance import like, uniform
from unmask.data.patches.patcher import sizes, split
from unmask.errors import Error


def letters(n: int, seed: int, alphabet: bytes = b"abcd e\n") -> bytes:
    return np.frombuffer(alphabet, np.uint8)[np.random.default_rng(seed).integers(0, len(alphabet), n)].tobytes()


@pytest.mark.parametrize(
    ("name", "options"), [("whitespace", {}), ("delimiter", {"max_length": 6}), ("fixed", {"stride": 5})], ids=str
)
def test_lengths_follow_those_of_the_patcher_it_imitates(name: str, options: dict) -> None:
    text = letters(40_000, 1)
    other = make_patcher(name, options)
    mine = like(other, [text], seed=4)
    want = np.bincount(sizes(other.starts(text)), minlength=80)[:80]
    found = np.bincount(sizes(mine.starts(letters(40_000, 2, b"z"))), minlength=80)[:80]
    p = want / want.sum()
    error = np.sqrt(p * (1 - p) * (1 / found.sum() + 1 / want.sum())) + 1 / found.sum()
    assert (np.abs(found / found.sum() - p) < 5 * error).all()  # five standard errors of each share
    if name == "fixed":
        assert set(sizes(mine.starts(b"z" * 100))) == {5}


def test_characters_that_may_not_be_split_are_counted_so() -> None:
    text = (HINDI * 60).encode()
    other = make_patcher("babylon", {"theta": 1.2}, ENTROPY)
    mine = like(other, [text], seed=2)
    want, found = sizes(other.starts(text)).mean(), sizes(mine.starts(text)).mean()
    assert found == pytest.approx(want, rel=0.1)
    for patch in split(text, mine.starts(text)):
        patch.decode()


def test_the_places_are_those_of_the_seed_whatever_the_text() -> None:
    one, other = (make_patcher("random", {"seed": seed}) for seed in (1, 2))
    np.testing.assert_array_equal(one.starts(letters(5000, 1)), one.starts(letters(5000, 2)))
    agree = (one.starts(b"a" * 20_000) == other.starts(b"a" * 20_000)).mean()
    assert agree == pytest.approx(0.25**2 + 0.75**2, abs=0.02)  # as two independent ones


def test_a_stream_agrees_over_many_blocks_of_draws() -> None:
    part = make_patcher("random", {"hazards": (0.1, 0.3), "seed": 9})
    data = letters(3000, 5)
    np.testing.assert_array_equal(part.stream().push(data), part.starts(data))


def test_draws_are_uniform_and_start_anywhere() -> None:
    draws = uniform(7, 0, 100_000)
    assert 0 <= draws.min() and draws.max() < 1
    np.testing.assert_allclose(np.histogram(draws, 20, (0, 1))[0], 5000, rtol=0.08)
    np.testing.assert_array_equal(uniform(7, 500, 100), draws[500:600])
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(draws[lag:], draws[:-lag])[0, 1]) < 0.015
    assert abs(np.corrcoef(draws, uniform(8, 0, 100_000))[0, 1]) < 0.015
    assert uniform(2**64 - 1, 0, 3).shape == (3,)


def test_nothing_cannot_be_imitated() -> None:
    with pytest.raises(Error, match="no patches to take the lengths of"):
        like(make_patcher("none"), [b"", b"a"])
