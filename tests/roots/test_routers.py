"""The contract of routers, over the registry; then what each of them promises beyond it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roots.synthetic import cloud, elongated, groups, unit
from unmask.errors import Error
from unmask.roots.partition.partitioner import means
from unmask.roots.route import ROUTERS, Lessons, lessons, make_router, opening_order
from unmask.roots.route.ebm import PatchClassifierEBM
from unmask.roots.route.moments import best_delta
from unmask.roots.route.router import true_nearest
from unmask.roots.shelves.dial import found_share
from unmask.roots.shelves.statistics import measure

EVERY = pytest.mark.parametrize("name", list(ROUTERS))


def routed(name, vectors, labels, queries, options=None, seed=0, rank=4):
    """Return a router of some vectors, taught by some queries if it learns."""
    shelves = int(labels.max()) + 1
    known = measure(vectors, labels, means(vectors, labels, shelves), rank=rank)
    taught = {"lessons": lessons(queries, vectors, labels, 3), "seed": seed} if ROUTERS.get(name).learns else {}
    return make_router(name, known, options, **taught)


def share(router, vectors, labels, queries, part=0.15, top=5):
    """Return the share of the true nearest within a part of the vectors."""
    found = opening_order(router.scores(queries))
    return found_share(
        found, np.bincount(labels), labels[true_nearest(queries, vectors, top)], [part * len(vectors)]
    ).mean()


@EVERY
def test_the_shelf_of_a_querys_own_group_is_opened_first(name):
    vectors, group = groups(6, 30)
    queries, own = groups(6, 30, seed=5)
    centres = unit(np.stack([vectors[group == k].mean(0) for k in range(6)]))
    own = (queries @ centres.T).argmax(1)
    assert (opening_order(routed(name, vectors, group, queries).scores(queries))[:, 0] == own).mean() > 0.95


@EVERY
def test_scores_of_a_query_depend_on_it_alone(name):
    vectors, group = groups(6, 30)
    queries = unit(cloud(20, 16))
    router = routed(name, vectors, group, queries)
    scores = router.scores(queries)
    assert scores.shape == (20, 6) and scores.dtype == np.float32 and np.isfinite(scores).all()
    np.testing.assert_allclose(router.scores(queries[::-1].copy())[::-1], scores, atol=1e-5)
    np.testing.assert_allclose(router.scores(queries[3:4]), scores[3:4], atol=1e-5)
    assert router.scores(queries[:0]).shape == (0, 6)


@EVERY
def test_an_empty_shelf_is_opened_last(name):
    vectors, group = groups(6, 30)
    labels = np.where(group == 2, 7, group)
    queries = unit(cloud(20, 16))
    scores = routed(name, vectors, labels, queries).scores(queries)
    assert np.isneginf(scores[:, [2, 6]]).all() and np.isfinite(scores[:, [0, 1, 3, 4, 5, 7]]).all()


@EVERY
def test_a_router_says_what_it_keeps_in_memory_and_comes_back_from_it(name):
    vectors, group = groups(6, 30)
    queries = unit(cloud(20, 16))
    router = routed(name, vectors, group, queries)
    assert router.nbytes >= 6 * 16 * 4
    known = measure(vectors, group, means(vectors, group, 6))
    again = make_router(name, known, arrays=router.arrays()) if router.learns else make_router(name, known)
    np.testing.assert_array_equal(again.scores(queries), router.scores(queries))
    assert bool(router.arrays()) == router.learns


@EVERY
def test_shuffled_labels_lose_the_gain(name):
    vectors, group = groups(12, 30)
    queries, _ = groups(12, 20, seed=5)
    shuffled = np.random.default_rng(0).permutation(group)
    right = share(routed(name, vectors, group, queries[::2]), vectors, group, queries[1::2])
    wrong = share(routed(name, vectors, shuffled, queries[::2]), vectors, shuffled, queries[1::2])
    assert right > 0.8 and wrong - 0.15 < 0.45 * (right - 0.15)  # by chance: 0.15


def test_missing_and_useless_lessons_are_refused():
    vectors, group = groups(3, 10)
    known = measure(vectors, group, means(vectors, group, 3))
    with pytest.raises(Error, match="needs either lessons"):
        make_router("ebm", known)
    with pytest.raises(Error, match="learns nothing"):
        make_router("centroid", known, lessons=lessons(vectors, vectors, group, 2))
    with pytest.raises(Error, match="does not fit"):
        make_router("ebm", known, arrays={"centroids": np.zeros((2, 2), np.float32)})
    with pytest.raises(Error, match="at least two"):
        make_router("ebm", known, lessons=lessons(vectors[:1], vectors, group, 2))
    with pytest.raises(Error, match="Did you mean 'delta'"):
        make_router("moments", known, {"detla": 1})
    with pytest.raises(Error, match="ask for 1 to 30"):
        true_nearest(vectors, vectors, 31)


def test_moments_of_full_rank_are_those_of_the_inner_products():
    vectors, label, queries = elongated(5, 20, 12)
    router = routed("moments", vectors, label, queries, rank=12)
    mean, deviation = router.moments(queries[:9])
    for k in range(5):
        inner = queries[:9] @ vectors[label == k].T
        np.testing.assert_allclose(mean[:, k], inner.mean(1), atol=1e-5)
        np.testing.assert_allclose(deviation[:, k], inner.std(1), atol=1e-4)
    np.testing.assert_allclose(router.scores(queries[:9]), mean + 2 * deviation, atol=1e-5)


def test_a_sketch_keeps_the_total_variance():
    vectors, label, queries = elongated(5, 20, 12)
    basis = np.eye(12, dtype=np.float32)
    for rank in (0, 2, 12):
        total = np.square(routed("moments", vectors, label, queries, rank=rank).moments(basis)[1]).sum(0)
        np.testing.assert_allclose(total, [vectors[label == k].var(0).sum() for k in range(5)], rtol=1e-4)


def test_without_deviations_moments_is_the_centroid_router():
    vectors, label, queries = elongated()
    a = routed("moments", vectors, label, queries, {"delta": 0}).scores(queries)
    np.testing.assert_allclose(a, routed("centroid", vectors, label, queries).scores(queries), atol=1e-6)


def test_moments_find_more_than_means_where_shelves_are_long_and_nothing_where_they_are_shuffled():
    vectors, label, queries = elongated()
    shuffled = np.random.default_rng(1).permutation(label)
    gain = {
        which: share(routed("moments", vectors, labels, queries), vectors, labels, queries)
        - share(routed("centroid", vectors, labels, queries), vectors, labels, queries)
        for which, labels in (("long", label), ("shuffled", shuffled))
    }
    assert gain["long"] > 0.05 and gain["shuffled"] < 0.5 * gain["long"]


def test_delta_is_chosen_by_what_it_finds():
    vectors, label, queries = elongated()
    known = measure(vectors, label, means(vectors, label, 12))
    held_out = lessons(queries[::2], vectors, label, 5)
    found = {
        delta: share(make_router("moments", known, {"delta": delta}), vectors, label, queries[::2], 0.15)
        for delta in (0.0, 1.0, 2.0)
    }
    assert best_delta(known, held_out, 0.15, (0.0, 1.0, 2.0)) == max(found, key=found.__getitem__)
    assert best_delta(known, held_out, 0.15, (0.0, 2.0)) == 2.0


def test_every_parameter_of_the_energy_learns_and_it_is_its_formula():
    centroids = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    energy = PatchClassifierEBM(centroids, torch.zeros(5), 0.3)
    queries = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        energy.log_tau += torch.arange(5.0)
        energy.log_prior += torch.arange(5.0)
        energy.projection += 0.3
    found = energy(queries)
    prior = energy.log_prior.softmax(0).detach()
    for i in range(4):
        for k in range(5):
            squared = (energy.projection @ queries[i] - energy.centroids[k]).square().sum()
            expected = squared / energy.log_tau[k].exp() - prior[k].log()
            assert found[i, k].item() == pytest.approx(expected.item(), rel=1e-3)
    (-found).log_softmax(1)[:, 0].sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in energy.parameters())


def test_a_router_that_learned_finds_more_than_untrained_and_shuffled_lessons_teach_nothing():
    vectors, label, queries = elongated(of=60, seed=3)
    turned = np.roll(queries, 1, axis=1)  # queries of another space than the vectors'
    known = measure(vectors, label, means(vectors, label, 12))
    right = Lessons(turned[::2], label[true_nearest(queries[::2], vectors, 5)])
    wrong = Lessons(turned[::2], np.random.default_rng(0).permutation(right.shelves))

    def found(taught, epochs):
        router = make_router("ebm", known, {"epochs": epochs, "rate": 5e-3}, lessons=taught)
        truth = label[true_nearest(queries[1::2], vectors, 5)]
        order = opening_order(router.scores(turned[1::2]))
        return found_share(order, known.count, truth, [0.15 * len(vectors)]).mean()

    taught = found(right, 60)
    assert taught > found(right, 1) + 0.1 and taught > found(wrong, 60) + 0.1


def test_learning_is_decided_by_the_seed():
    vectors, label, queries = elongated()
    a, b, c = (routed("ebm", vectors, label, queries, {"epochs": 3, "batch": 64}, seed) for seed in (0, 0, 1))
    assert (a.scores(queries) == b.scores(queries)).all() and (a.scores(queries) != c.scores(queries)).any()


def opened(router, facets=None, query=None):
    """Return what the cones of one query open: the shelves that were raised above all others."""
    scores = router.scores(query[None])[0] if facets is None else router.navigate(*facets)
    base = router._mean @ query if facets is None else (facets[0] @ router._mean.T).max(0)
    return np.flatnonzero(scores > base + 1)


@pytest.mark.parametrize("budget", [0.05, 0.2, 0.6])
def test_cones_together_stay_within_the_budget_of_bytes(budget):
    vectors, label, queries = elongated(24, 20)
    router = routed("cones", vectors, label, queries, {"budget": budget, "widening": 50, "apart": 0.1})
    for query in queries[:40]:
        assert np.bincount(label)[opened(router, query=query)].sum() <= budget * len(vectors)


def test_a_query_of_two_meanings_opens_shelves_of_both():
    vectors, group = groups(8, 40)
    labels = 4 * group + np.random.default_rng(0).integers(0, 4, len(group))  # four shelves a group
    query = unit(vectors[group == 1].mean(0) * 1.15 + vectors[group == 5].mean(0))
    one, two = (
        routed("cones", vectors, labels, vectors, {"cones": n, "budget": 0.14, "widening": 3, "heat": 0.5})
        for n in (1, 2)
    )
    assert {int(k) // 4 for k in opened(two, query=query)} == {1, 5}
    assert len({int(k) // 4 for k in opened(one, query=query)}) == 1


def test_facets_of_its_own_get_budgets_by_their_strength():
    vectors, group = groups(8, 40)
    labels = 4 * group + np.random.default_rng(0).integers(0, 4, len(group))
    router = routed("cones", vectors, labels, vectors, {"budget": 0.2, "widening": 3})
    facets = unit(np.stack([vectors[group == k].mean(0) for k in (1, 5)]))
    count = [np.bincount(opened(router, (facets, np.array(w))) // 4, minlength=8)[[1, 5]] for w in ([3, 1], [1, 3])]
    assert count[0][0] > count[0][1] and count[1][0] < count[1][1]
