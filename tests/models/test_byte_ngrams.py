"""Hashed n-grams read their own bytes only, in order, and collide no more than chance does."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unmask.errors import Error
from unmask.models.byte_ngrams import MULTIPLIER, PRIME, byte_ngrams

ALL = list(range(1, 9))


def polynomial(symbols: list[int], n: int, rows: int) -> int:
    """The docstring's equation, in Python's integers."""
    h = sum((symbols[-1 - i] + 1) * MULTIPLIER**i for i in range(min(n, len(symbols)))) % PRIME
    mixed = (h ^ h >> 15) * MULTIPLIER % PRIME
    return (mixed ^ mixed >> 13) % rows


@given(symbols=st.lists(st.integers(0, 300), min_size=1, max_size=20), rows=st.sampled_from([1, 7, 30_000, PRIME]))
@settings(max_examples=60, deadline=None)
def test_rows_are_those_of_the_equation(symbols: list[int], rows: int) -> None:
    found = byte_ngrams(torch.tensor([symbols]), ALL, rows)
    assert found.dtype == torch.int64 and found.shape == (1, len(symbols), len(ALL))
    for t, n in itertools.product(range(len(symbols)), ALL):
        assert found[0, t, n - 1] == polynomial(symbols[: t + 1], n, rows)


@given(st.lists(st.integers(0, 255), min_size=12, max_size=12), st.integers(0, 11), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_row_depends_on_its_n_bytes_and_no_other(symbols: list[int], place: int, change: int) -> None:
    before = byte_ngrams(torch.tensor([symbols]), ALL, PRIME)[0]
    symbols[place] = (symbols[place] + change) % 256
    after = byte_ngrams(torch.tensor([symbols]), ALL, PRIME)[0]
    for n in ALL:
        moved = (before[:, n - 1] != after[:, n - 1]).nonzero()[:, 0].tolist()
        assert moved == list(range(place, min(place + n, 12)))


def test_rows_of_the_batch_and_documents_stay_apart() -> None:
    symbols = torch.randint(0, 256, (3, 20), generator=torch.Generator().manual_seed(0))
    together = byte_ngrams(symbols, [3, 8], 1000)
    for row in range(3):
        assert torch.equal(byte_ngrams(symbols[row : row + 1], [3, 8], 1000)[0], together[row])
    packed = byte_ngrams(symbols, [3, 8], 1000, torch.tensor([[1] * 7 + [2] * 13]).expand(3, -1))
    assert torch.equal(packed[:, :7], byte_ngrams(symbols[:, :7], [3, 8], 1000))
    assert torch.equal(packed[:, 7:], byte_ngrams(symbols[:, 7:], [3, 8], 1000))


def bytropix_hash(grams: Tensor, rows: int) -> Tensor:
    """Bytropix: sum of byte times prime, two primes of them equal."""
    primes = torch.tensor({3: [31, 37, 37], 4: [41, 43, 43, 47]}[grams.shape[1]])
    return (grams * primes).sum(1) % rows


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("rows", [1000, 4099, 30_000])
def test_few_letters_collide_as_by_chance_where_bytropixs_hash_collapses(n: int, rows: int) -> None:
    letters = range(97, 97 + (26 if n == 3 else 12))
    grams = torch.tensor(list(itertools.product(letters, repeat=n)))
    count = len(grams)
    empty = (1 - 1 / rows) ** count
    chance = rows * (1 - empty)  # rows that so many balls hit
    error = (rows * empty * (1 - empty)) ** 0.5 + 1  # above its standard deviation
    used = byte_ngrams(grams, [n], rows)[:, -1, 0].unique().numel()
    assert abs(used - chance) < 5 * error
    if rows == 30_000:
        assert bytropix_hash(grams, rows).unique().numel() < 0.25 * chance
    assert byte_ngrams(grams, [n], PRIME)[:, -1, 0].unique().numel() > count * (1 - 1e-3)


def test_bytes_do_not_trade_places_as_in_the_seed() -> None:
    grams = torch.tensor([[97, 98, 99], [97, 99, 98], [98, 97, 99]])
    assert byte_ngrams(grams, [3], 30_000)[:, -1, 0].unique().numel() == 3
    assert bytropix_hash(grams, 30_000)[0] == bytropix_hash(grams, 30_000)[1]


def test_the_multiplier_visits_every_residue() -> None:
    for factor in (2, 3, 7, 11, 31, 151, 331):  # of PRIME - 1
        assert pow(MULTIPLIER, (PRIME - 1) // factor, PRIME) != 1


def test_impossible_orders_and_tables_are_refused() -> None:
    symbols = torch.zeros(1, 4, dtype=torch.int64)
    for orders in ([], [0], [3, 17]):
        with pytest.raises(Error, match="orders must be 1 to 16"):
            byte_ngrams(symbols, orders, 10)
    for rows in (0, PRIME + 1):
        with pytest.raises(Error, match="rows"):
            byte_ngrams(symbols, [3], rows)
    assert byte_ngrams(symbols[:, :0], [3], 10).shape == (1, 0, 1)
