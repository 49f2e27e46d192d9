"""No inner product exceeds its bound, and a complete answer is what reading everything gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roots.synthetic import cloud, groups, unit
from unmask.errors import Error
from unmask.roots.partition import make_partitioner
from unmask.roots.partition.partitioner import means
from unmask.roots.search.bounds import search, upper_bounds
from unmask.roots.shelves.statistics import ShelfStatistics, measure, merge


@st.composite
def worlds(draw):
    """Vectors of any lengths and some of length 0, shelves by chance, centroids that need not be means, queries."""
    width, seed = draw(st.sampled_from([1, 2, 3, 8])), draw(st.integers(0, 9999))
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((40, width))
    if draw(st.booleans()):
        vectors = vectors[rng.integers(0, 4, 40)] + 0.01 * vectors  # tight groups
    if draw(st.booleans()):
        vectors = unit(vectors)
    vectors[rng.random(40) < 0.1] = 0
    vectors = (vectors * draw(st.sampled_from([1e-4, 1.0, 1e3]))).astype(np.float32)
    labels = np.argsort(vectors[:, 0]) % 5 if draw(st.booleans()) else np.argsort(np.argsort(vectors[:, 0])) // 8
    centroids = means(vectors, labels, 5)
    if draw(st.booleans()):
        centroids[rng.integers(5)] = rng.standard_normal(width) * draw(st.sampled_from([0.0, 1.0]))
    queries = np.concatenate([rng.standard_normal((5, width)), vectors[:3], -vectors[:2]]).astype(np.float32)
    return vectors, labels, centroids, queries


def highest(queries, vectors, labels):
    inner = queries @ vectors.T
    return np.stack([np.where(labels == k, inner, -np.inf).max(1) for k in range(5)], 1)


@settings(deadline=None, max_examples=150)
@given(worlds())
def test_no_inner_product_exceeds_its_bound(world):
    vectors, labels, centroids, queries = world
    known = measure(vectors, labels, centroids, rank=0)
    assert (upper_bounds(queries, known) >= highest(queries, vectors, labels)).all()
    half = [measure(vectors[s], labels[s], centroids, rank=0) for s in (slice(0, 40, 2), slice(1, 40, 2))]
    assert (upper_bounds(queries, merge(*half)) >= highest(queries, vectors, labels)).all()


@settings(deadline=None, max_examples=50)
@given(worlds())
def test_bounds_hold_after_a_file_of_float32(world):
    vectors, labels, centroids, queries = world
    stored = {
        k: v if v.dtype == np.int64 else v.astype(np.float32)
        for k, v in measure(*world[:3], rank=0).to_arrays().items()
    }
    assert (upper_bounds(queries, ShelfStatistics.from_arrays(stored)) >= highest(queries, vectors, labels)).all()


def test_the_bound_is_reached():
    """One vector a shelf: its bound is its inner product, up to what rounding may do."""
    vectors, queries = cloud(5), cloud(6, seed=1)
    found = upper_bounds(queries, measure(vectors, np.arange(5), vectors))
    # The angle of a cosine near 1 loses half its digits: a slack of 1e-6 in the cosine is 1.4e-3 in the angle.
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(vectors, axis=1)
    assert (np.abs(found - queries @ vectors.T) / lengths).max() < 2e-3


def shop(vectors, labels):
    def read(shelf):
        points = np.flatnonzero(labels == shelf)
        return points, vectors[points]

    return read


@settings(deadline=None, max_examples=100)
@given(worlds(), st.integers(1, 45), st.sampled_from([None, 0, 8, 20]), st.sampled_from([None, -0.5, 0.3, 0.9]))
def test_a_complete_answer_is_that_of_brute_force(world, top, most, threshold):
    vectors, labels, centroids, queries = world
    known = measure(vectors, labels, centroids, rank=0)
    bounds, read = upper_bounds(queries, known), shop(vectors, labels)
    for query, bound in zip(queries, bounds, strict=True):
        found = search(
            query, read, known.mean @ query, bound, top=top, threshold=threshold, sizes=known.count, most=most
        )
        inner = vectors @ query
        best = np.sort(inner[inner >= (-np.inf if threshold is None else threshold)])[::-1][:top]
        assert most is not None or found.complete
        if found.complete:
            np.testing.assert_allclose(found.scores, best, rtol=1e-4, atol=1e-5 * np.abs(inner).max())
            assert len(set(found.points.tolist())) == len(found.points)
        assert found.scanned == known.count[found.opened].sum()
        assert most is None or len(found.opened) <= 1 or found.scanned <= most


def test_shelves_that_cannot_hold_an_answer_are_not_read():
    vectors, group = groups(8, 40, spread=0.2)
    known = measure(vectors, group, means(vectors, group, 8))
    found = search(
        vectors[0], shop(vectors, group), known.mean @ vectors[0], upper_bounds(vectors[:1], known)[0], top=1
    )
    assert found.complete and found.opened == [group[0]] and found.points.tolist() == [0]


def test_an_answer_that_was_cut_short_is_certain_only_if_nothing_unread_could_enter_it():
    vectors, group = groups(8, 40, spread=0.2)
    known = measure(vectors, group, means(vectors, group, 8))
    between = unit(vectors[group == 1].mean(0) + vectors[group == 2].mean(0))
    for query, certain in ((vectors[0], True), (between, False)):
        found = search(
            query, shop(vectors, group), known.mean @ query, upper_bounds(query[None], known)[0], top=1, most=45,
            sizes=known.count,
        )  # fmt: skip
        assert len(found.opened) == 1 and found.complete is certain


def test_copies_count_once():
    vectors = cloud(10)
    labels = np.arange(20) % 2
    both = np.repeat(np.arange(10), 2)
    known = measure(vectors[both], labels, means(vectors[both], labels, 2))

    def read(shelf):
        return both[labels == shelf], vectors[both[labels == shelf]]

    found = search(vectors[0], read, np.ones(2), upper_bounds(vectors[:1], known)[0], top=10)
    assert sorted(found.points.tolist()) == list(range(10)) and found.scanned == 20


def test_pruning_by_partition_is_better_than_pruning_by_chance():
    vectors = unit(cloud(400, 6))
    read_share = {}
    for name in ("kmeans", "random"):
        labels = make_partitioner(name).fit(vectors, 20).labels
        known = measure(vectors, labels, means(vectors, labels, 20))
        bounds = upper_bounds(vectors[:30], known)
        read_share[name] = np.mean(
            [
                search(q, shop(vectors, labels), known.mean @ q, b, threshold=0.95).scanned
                for q, b in zip(vectors[:30], bounds, strict=True)
            ]
        )
    assert read_share["kmeans"] < 0.5 * read_share["random"]


def test_a_search_that_asks_for_nothing_is_refused():
    nothing = {"query": np.ones(2, np.float32), "read": None, "scores": np.ones(1), "bounds": np.ones(1)}
    with pytest.raises(Error, match="how many answers"):
        search(**nothing)
    with pytest.raises(Error, match="at least 1"):
        search(**nothing, top=0)
    with pytest.raises(Error, match="sizes"):
        search(**nothing, top=1, most=3)
