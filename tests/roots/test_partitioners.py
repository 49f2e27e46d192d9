"""The contract of partitioners, over the registry; then what is special about each."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.studies.energies.maxcut import cut, max_cut
from roots.synthetic import cloud, groups, unit
from unmask.errors import Error
from unmask.roots.energies.discrete import Discrete, make_blocks
from unmask.roots.energies.graph import make_graph
from unmask.roots.partition import PARTITIONERS, make_partitioner, spill
from unmask.roots.partition.balanced import capped
from unmask.roots.partition.ising_cut import BalancedIsing
from unmask.roots.partition.kmeans import served
from unmask.roots.partition.maxcut import MaxCut, objective, swept
from unmask.roots.partition.neighbours import neighbours
from unmask.roots.partition.partitioner import half_squares

EVERY = pytest.mark.parametrize("name", list(PARTITIONERS))
KNOWING = pytest.mark.parametrize("name", [name for name in PARTITIONERS if name != "random"])


def quick(name):
    return make_partitioner(name, {"sweeps": 4} if name == "ising" else None)


@EVERY
@pytest.mark.parametrize("shelves", [1, 2, 7, 16, 50])
def test_every_vector_lies_on_one_shelf_and_no_shelf_is_empty(name, shelves):
    partition = quick(name).fit(cloud(200), shelves)
    assert partition.labels.shape == (200,) and partition.centroids.shape == (shelves, 8)
    assert sorted(set(partition.labels.tolist())) == list(range(shelves))
    assert partition.sizes.sum() == 200
    members = partition.members()
    assert sorted(members.points.tolist()) == list(range(200))
    assert all((partition.labels[members.of(k)] == k).all() for k in range(shelves))


@EVERY
def test_no_shelf_is_empty_even_where_vectors_repeat_or_there_are_as_many_shelves_as_vectors(name):
    repeated = np.repeat(unit(cloud(3)), 10, 0)
    for vectors, shelves in ((repeated, 12), (repeated, 30), (np.zeros((9, 4), np.float32), 5)):
        assert quick(name).fit(vectors, shelves).sizes.min() >= 1


@EVERY
def test_a_seed_decides_the_partition(name):
    vectors = cloud(150)
    a, b = (quick(name).fit(vectors, 8, seed=3) for _ in range(2))
    assert (a.labels == b.labels).all() and (a.centroids == b.centroids).all() and (a.offsets == b.offsets).all()


@pytest.mark.parametrize("name", ["random", "kmeans", "balanced_kmeans"])
def test_another_seed_gives_another_partition(name):
    vectors = cloud(150)
    assert (quick(name).fit(vectors, 8, 0).labels != quick(name).fit(vectors, 8, 1).labels).any()


@EVERY
def test_where_a_later_vector_goes_depends_on_it_alone(name):
    partitioner, later = quick(name), cloud(60, seed=1)
    partition = partitioner.fit(cloud(150), 8)
    found = partitioner.assign(partition, later)
    assert found.shape == (60,) and 0 <= found.min() and found.max() < 8
    assert (partitioner.assign(partition, later[::-1].copy())[::-1] == found).all()
    assert partitioner.assign(partition, later[:1])[0] == found[0]
    assert partitioner.assign(partition, later[:0]).shape == (0,)


@EVERY
def test_centroids_are_the_means_of_their_shelves(name):
    vectors = cloud(150)
    partition = quick(name).fit(vectors, 8)
    for k in range(8):
        np.testing.assert_allclose(partition.centroids[k], vectors[partition.labels == k].mean(0), atol=1e-5)


@EVERY
def test_no_shelf_exceeds_the_cap_that_is_promised(name):
    vectors = np.concatenate([np.repeat(unit(cloud(1)), 120, 0), unit(cloud(180, seed=2))])
    for shelves in (4, 9):
        partitioner = quick(name)
        sizes = partitioner.fit(vectors, shelves).sizes
        if partitioner.cap is not None:
            assert sizes.max() <= max(np.ceil(300 / shelves), np.floor(partitioner.cap * 300 / shelves))


@pytest.mark.parametrize("name", ["pca_tree", "ising"])
def test_halving_keeps_shelves_near_their_share(name):
    sizes = quick(name).fit(unit(cloud(600)), 12).sizes
    assert sizes.max() <= 1.15 * 50 + 4 and sizes.min() >= 0.85 * 50 - 4


@KNOWING
def test_planted_groups_come_out_as_shelves(name):
    vectors, group = groups(4, 60)
    labels = quick(name).fit(vectors, 4).labels
    pure = np.mean([np.bincount(group[labels == k]).max() / (labels == k).sum() for k in range(4)])
    assert pure > 0.95


def test_shelves_by_chance_know_nothing_of_planted_groups():
    vectors, group = groups(4, 60)
    labels = make_partitioner("random").fit(vectors, 4).labels
    assert np.mean([np.bincount(group[labels == k]).max() / (labels == k).sum() for k in range(4)]) < 0.45


@EVERY
def test_what_cannot_be_partitioned_is_refused(name):
    partitioner, vectors = quick(name), cloud(10)
    for shelves in (0, 11):
        with pytest.raises(Error, match="choose from 1 to 10"):
            partitioner.fit(vectors, shelves)
    broken = vectors.copy()
    broken[3, 1] = np.nan
    with pytest.raises(Error, match="finite"):
        partitioner.fit(broken, 2)
    with pytest.raises(Error, match=r"\[N, D\]"):
        partitioner.fit(vectors[0], 1)


def test_misspelt_names_and_options_are_answered_with_the_nearest():
    with pytest.raises(Error, match="Did you mean 'kmeans'"):
        make_partitioner("kmean")
    with pytest.raises(Error, match="Did you mean 'iterations'"):
        make_partitioner("kmeans", {"iteration": 3})
    with pytest.raises(Error, match="cap"):
        make_partitioner("balanced_kmeans", {"cap": 0.5})


def test_kmeans_is_as_good_as_that_of_faiss():
    faiss = pytest.importorskip("faiss")
    vectors = unit(cloud(1500, 12))
    ours = served(vectors, make_partitioner("kmeans", {"iterations": 25}).fit(vectors, 20).centroids)[1].mean()
    peer = faiss.Kmeans(12, 20, niter=25, seed=1)
    peer.train(vectors)
    assert ours <= served(vectors, peer.centroids)[1].mean() * 1.03


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_vectors_that_come_later_are_nearly_balanced_under_the_prices(seed):
    thin, _ = groups(6, 100, 8, 0.6, seed)
    rng = np.random.default_rng(seed)
    dense = unit(thin[:1] + 0.25 * rng.standard_normal((2400, 8)))
    world = rng.permutation(np.concatenate([thin, dense]))
    balanced = make_partitioner("balanced_kmeans")
    priced, later = balanced.fit(world[:1500], 12), world[1500:]
    free = replace(priced, offsets=half_squares(priced.centroids))
    plain = make_partitioner("kmeans").fit(world[:1500], 12)
    largest = [np.bincount(balanced.assign(p, later), minlength=12).max() * 12 / 1500 for p in (priced, free, plain)]
    assert largest[0] < 1.4 and largest[0] < min(largest[1:])


def test_capping_moves_only_what_is_above_the_cap_and_least_loss_first():
    vectors = np.array([[1.0], [1.1], [1.2], [5.0]], np.float32)
    centroids = np.array([[1.0], [6.0]], np.float32)
    assert capped(vectors, centroids, np.array([0, 0, 0, 1]), 2).tolist() == [0, 0, 1, 1]


def sides(spins):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=spins)), np.float32)


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_cut_of_a_few_vectors_is_that_of_brute_force(seed):
    vectors = unit(cloud(9, 5, seed))
    best = max(objective(vectors, s) for s in sides(9))
    found = MaxCut(MaxCut.Options(starts=8))._cut(vectors, 0.5, seed)
    spins = np.full(9, -1, np.float32)
    spins[np.argsort(-found.score, kind="stable")[: found.take]] = 1
    assert objective(vectors, spins) == pytest.approx(best, rel=1e-5)


def test_the_closed_form_is_the_cut_of_the_dense_graph():
    vectors = unit(cloud(8, 5))
    pairs = torch.combinations(torch.arange(8))
    graph, weights = make_graph(pairs, torch.from_numpy(1 - (vectors @ vectors.T)[pairs[:, 0], pairs[:, 1]]), 8)
    dense = cut(max_cut(graph, weights), torch.from_numpy(sides(8))).numpy()
    closed = np.array([objective(vectors, s) for s in sides(8)]) / 4
    assert np.ptp(dense - closed) < 1e-4 * np.ptp(dense)


@pytest.mark.parametrize("share", [0.5, 2 / 3])
def test_no_sweep_lowers_the_cut(share):
    vectors = unit(cloud(80))
    along = np.random.default_rng(0).standard_normal(80).astype(np.float32)
    values = [objective(vectors, swept(vectors, along, share, k), share) for k in range(8)]
    assert values == sorted(values) and values[-1] > values[0]


def balanced_energy(seed=0):
    vectors = unit(cloud(8, 4, seed))
    other, cosine = neighbours(vectors, 3)
    ends = torch.from_numpy(np.stack([np.repeat(np.arange(8), 3), other.ravel()], 1))
    graph, weights = make_graph(ends, torch.from_numpy(cosine.ravel()), 8)
    return BalancedIsing(graph, weights, torch.tensor([0, 0, 0, 1, 1, 0, 1, 1]), torch.tensor([0.5, 0.25]), 1.5)


def test_the_balanced_energy_is_its_formula():
    energy, states = balanced_energy(), torch.from_numpy(sides(8))
    for s, found in zip(states, energy(states), strict=True):
        bonds = sum(w * s[i] * s[j] for (i, j), w in zip(energy.graph.pairs, energy.couplings, strict=True))
        off = [s[energy.group == g].sum() - (2 * b - 1) * 4 for g, b in ((0, 0.5), (1, 0.25))]
        assert float(found) == pytest.approx(float(-bonds + 1.5 / 4 * (off[0] ** 2 + off[1] ** 2)), abs=1e-4)


def test_logits_of_the_balanced_energy_are_differences_of_energy():
    energy: Discrete = balanced_energy()
    state = torch.from_numpy(sides(8)[37])[:, None].clone()
    for block in make_blocks(energy, colour=torch.arange(8), most=1):
        node, logits = int(block.nodes), energy.logits(block, state)[0, 0]
        up, down = state.clone(), state.clone()
        up[node], down[node] = 1, -1
        assert float(logits[1] - logits[0]) == pytest.approx(float(energy(down.T) - energy(up.T)), abs=1e-4)


def test_neighbours_are_those_of_brute_force_and_nearly_so_above_the_limit():
    vectors = unit(cloud(1200))
    scores = vectors @ vectors.T - 9 * np.eye(1200, dtype=np.float32)
    truth = np.argsort(-scores, 1)[:, :5]
    found, score = neighbours(vectors, 5)
    np.testing.assert_allclose(score, np.take_along_axis(scores, truth, 1), atol=1e-5)
    near, _ = neighbours(vectors, 5, exact=100)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(truth.tolist(), near.tolist(), strict=True)]) > 4
    assert (near != np.arange(1200)[:, None]).all()
    with pytest.raises(Error, match="ask for fewer"):
        neighbours(vectors[:5], 5)


def test_spilled_copies_lie_on_another_shelf_and_are_counted():
    vectors = unit(cloud(200))
    whole = make_partitioner("kmeans").fit(vectors, 8)
    partition = spill(whole, vectors, 0.25)
    copied = partition.second >= 0
    assert copied.sum() == 50 and (partition.second != partition.labels)[copied].all()
    assert partition.sizes.sum() == 250 and (partition.labels == whole.labels).all()
    for k in range(8):
        expected = np.flatnonzero((partition.labels == k) | (partition.second == k))
        assert (partition.members().of(k) == expected).all()


def test_what_is_spilled_lies_near_a_border():
    vectors = unit(cloud(200))
    partition = spill(make_partitioner("kmeans").fit(vectors, 8), vectors, 0.25, parallel=0.0)
    distance = np.sort(((vectors[:, None] - partition.centroids) ** 2).sum(2), 1)
    margin = distance[:, 1] - distance[:, 0]
    copied = partition.second >= 0
    assert np.median(margin[copied]) < 0.5 * np.median(margin[~copied])


def test_an_impossible_spill_is_refused():
    vectors = unit(cloud(20))
    with pytest.raises(Error, match="between 0 and 1"):
        spill(make_partitioner("kmeans").fit(vectors, 4), vectors, 1.5)
    with pytest.raises(Error, match="at least two"):
        spill(make_partitioner("kmeans").fit(vectors, 1), vectors, 0.5)
