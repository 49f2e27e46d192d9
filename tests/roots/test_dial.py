"""Recall never falls as the budget grows, and the dial reads it both ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roots.synthetic import elongated
from unmask.errors import Error
from unmask.roots.partition import make_partitioner, spill
from unmask.roots.partition.partitioner import means
from unmask.roots.route import make_router, opening_order
from unmask.roots.route.router import true_nearest
from unmask.roots.shelves.dial import KS, Dials, calibrate, found_share
from unmask.roots.shelves.statistics import measure


@st.composite
def openings(draw):
    shelves, seed = draw(st.integers(1, 8)), draw(st.integers(0, 9999))
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 9, shelves)
    sizes[0] = max(1, sizes[0])
    full = np.flatnonzero(sizes)
    order = np.stack([rng.permutation(shelves) for _ in range(6)])
    second = np.where(rng.random((6, 4)) < 0.5, full[rng.integers(0, len(full), (6, 4))], -1)
    return order, sizes, full[rng.integers(0, len(full), (6, 4))], draw(st.sampled_from([None, second]))


@settings(deadline=None, max_examples=100)
@given(openings(), st.lists(st.floats(0, 80), min_size=2, max_size=6))
def test_recall_never_falls_as_the_budget_grows(opening, budgets):
    order, sizes, truth, second = opening
    found = found_share(order, sizes, truth, sorted(budgets), second)
    assert (np.diff(found, axis=1) >= -1e-12).all() and (0 <= found).all() and (found <= 1).all()
    assert (found_share(order, sizes, truth, [sizes.sum()], second) == 1).all()


@settings(deadline=None, max_examples=60)
@given(openings(), st.lists(st.floats(0, 1), min_size=2, max_size=6), st.sampled_from([0.0, 2.0]))
def test_more_recall_never_asks_for_fewer_vectors(opening, targets, sigmas):
    order, sizes, truth, second = opening
    dial = calibrate(order, sizes, truth, vector_bytes=10, second=second)
    asked = [dial.for_recall(target, sigmas) for target in sorted(targets)]
    assert asked == sorted(asked) and asked[-1] <= sizes.sum()
    for target in targets:
        assert dial.recall_at(dial.for_recall(target)) >= target - 1e-9
        assert dial.for_recall(target, sigmas) >= dial.for_recall(target)
    assert (np.diff(dial.recall) >= -1e-12).all() and dial.recall[-1] == 1 and dial.points[0] == 0
    assert (np.diff(dial.shelves) >= 0).all()


def test_a_shelf_that_the_budget_cuts_counts_by_the_part_that_is_read():
    order, sizes = np.array([[1, 0]]), np.array([10, 4])
    truth = np.array([[1, 0]])
    found = found_share(order, sizes, truth, [0, 2, 4, 9, 14])[0]
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 0.75, 1])


def test_a_copy_is_found_on_either_shelf():
    order, sizes = np.array([[2, 1, 0]]), np.array([3, 3, 3])
    assert found_share(order, sizes, np.array([[0]]), [3])[0, 0] == 0
    assert found_share(order, sizes, np.array([[0]]), [3], np.array([[2]]))[0, 0] == 1
    assert found_share(order[:, ::-1], sizes, np.array([[2]]), [3], np.array([[-1]]))[0, 0] == 0  # -1: no copy


def test_what_a_dial_cannot_say_is_refused():
    dial = calibrate(np.array([[0, 1]]), np.array([6, 4]), np.array([[1]]), vector_bytes=100)
    assert dial.shelves_at(6) <= 1 < dial.shelves_at(10)
    with pytest.raises(Error, match="between 0 and 1"):
        dial.for_recall(1.2)
    with pytest.raises(Error, match="at least one of each"):
        calibrate(np.zeros((0, 2), int), np.array([6, 4]), np.zeros((0, 1), int), vector_bytes=1)


@pytest.mark.parametrize("copies", [0.0, 0.3])
def test_what_held_out_queries_promise_other_queries_get(copies):
    vectors, _, queries = elongated(of=60)
    partition = make_partitioner("balanced_kmeans").fit(vectors, 12)
    partition = spill(partition, vectors, copies) if copies else partition
    router = make_router("moments", measure(vectors, partition.labels, means(vectors, partition.labels, 12)))
    truth = true_nearest(queries, vectors, 5)
    second = partition.second[truth] if copies else None
    order, sizes = opening_order(router.scores(queries)), partition.sizes
    told, rest = slice(0, None, 2), slice(1, None, 2)
    mine, others = (None, None) if second is None else (second[told], second[rest])
    dial = calibrate(order[told], sizes, partition.labels[truth[told]], vector_bytes=96, second=mine)
    for target in (0.7, 0.9):
        budget = dial.for_recall(target, sigmas=2)
        got = found_share(order[rest], sizes, partition.labels[truth[rest]], [budget], others)
        # 360 queries of 5: the standard error of either mean is about 0.01.
        assert got.mean() > target - 0.02 and budget < sizes.sum()


def test_what_is_promised_for_each_k_is_found_for_it_and_between():
    vectors, _, queries = elongated(of=60)
    partition = make_partitioner("balanced_kmeans").fit(vectors, 12)
    router = make_router("moments", measure(vectors, partition.labels, means(vectors, partition.labels, 12)))
    order, sizes = opening_order(router.scores(queries)), partition.sizes
    shelves = partition.labels[true_nearest(queries, vectors, 50)]
    told, rest = slice(0, None, 2), slice(1, None, 2)
    dials = Dials({k: calibrate(order[told], sizes, shelves[told, :k], vector_bytes=96) for k in (1, 10, 50)})
    asked = {k: dials.for_recall(k, 0.9, sigmas=2) for k in (1, 3, 10, 30, 50)}
    for k, budget in asked.items():
        found = found_share(order[rest], sizes, shelves[rest, :k], [budget])
        # 360 queries; for k = 1 each is right or wrong, and the standard error is 0.016
        assert found.mean() > 0.9 - (0.04 if k == 1 else 0.02) and budget < sizes.sum()
    assert asked[1] <= asked[3] == asked[10] <= asked[30] == asked[50]
    of_ten = found_share(order[rest], sizes, shelves[rest], [dials.for_recall(10, 0.9)]).mean()
    assert of_ten < found_share(order[rest], sizes, shelves[rest], [dials.for_recall(50, 0.9)]).mean()


def test_a_dial_is_not_used_beyond_the_k_that_it_was_set_for():
    def dials(total, ks):
        curve = calibrate(np.array([[0, 1]]), np.array([total - 4, 4]), np.array([[1]]), vector_bytes=1)
        return Dials(dict.fromkeys(ks, curve))

    assert dials(30, (1, 10, 15)).for_recall(16, 0.5) == 30 and dials(30, (10,)).for_recall(2, 0.5) < 30
    for ks, more in ((KS, "up to 200, and"), ((10,), "up to 10 texts .written before")):
        with pytest.raises(Error, match=more.replace(", and", " texts, and")):
            dials(4000, ks).for_recall(201, 0.5)
