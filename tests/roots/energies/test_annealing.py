import math

import pytest
import torch

from benchmarks.studies.energies.enumeration import all_states
from benchmarks.studies.energies.maxcut import cut, max_cut
from unmask.errors import Error
from unmask.roots.energies.annealing import anneal, cooling
from unmask.roots.energies.discrete import random_states
from unmask.roots.energies.graph import make_graph
from unmask.roots.energies.ising import Ising


def brute_force_cut(graph, weights):
    """Return the largest cut by going through all ways to part the nodes, without any energy."""
    sides = torch.arange(2**graph.nodes)[:, None] >> torch.arange(graph.nodes) & 1
    low, high = graph.pairs.long().unbind(1)
    return float(((sides[:, low] != sides[:, high]).double() @ weights).max())


def annealed(energy, noise, chains=16, sweeps=60):
    return anneal(energy, random_states(energy, noise(chains)), cooling(4.0, 0.1, sweeps), noise(chains))


@pytest.mark.parametrize("nodes", range(3, 17))
def test_annealing_finds_the_largest_cut_of_random_graphs(nodes, random_graph, noise):
    for seed in range(3):
        graph, weights = random_graph(nodes, (0.4, 0.7, 1.0)[seed], seed)
        weights = weights.abs() if seed == 1 else weights
        energy = max_cut(graph, weights)
        found = annealed(energy, noise)
        truth = brute_force_cut(graph, weights)
        assert float(cut(energy, found.state).max()) == pytest.approx(truth)
        assert float(cut(energy, found.best[None])) == pytest.approx(truth)


def test_annealing_finds_the_lowest_energy_of_a_small_model(small, noise):
    energy = small(8)
    found = annealed(energy, noise)
    assert float(found.energy.min()) == pytest.approx(float(energy(all_states(energy)).min()))
    torch.testing.assert_close(found.energy, energy(found.state))


def test_seed_000s_sign_a_ferromagnet_groups_the_similar_and_only_its_opposite_is_a_maximum_cut(noise):
    # Two groups of four: cosine 0.9 within, 0.1 between.
    group = torch.arange(8) // 4
    pairs = torch.combinations(torch.arange(8))
    same = group[pairs[:, 0]] == group[pairs[:, 1]]
    graph, cosine = make_graph(pairs, torch.where(same, 0.9, 0.1), 8)
    parted = 2.0 * group - 1

    def best(couplings):
        return annealed(Ising(graph, torch.zeros(8), couplings), noise, sweeps=40).best

    def value(weights, state):
        return float(cut(max_cut(graph, weights), state[None]))

    # The original: J = cosine. Its lowest energy is the smallest cut of the cosines, which is none at all.
    assert best(cosine).unique().numel() == 1 and value(cosine, best(cosine)) == pytest.approx(0, abs=1e-5)
    # J = -dissimilarity is the largest cut of the dissimilarities and parts the groups.
    dissimilarity = 1 - cosine
    assert best(-dissimilarity).tolist() in (parted.tolist(), (-parted).tolist())
    assert value(dissimilarity, best(-dissimilarity)) == pytest.approx(brute_force_cut(graph, dissimilarity.double()))
    # So does J = centred cosine, which is a ferromagnet within groups; with the sign turned, groups are torn apart.
    centred = cosine - cosine.mean()
    assert best(centred).tolist() in (parted.tolist(), (-parted).tolist())
    torn = best(-centred)
    assert torn[:4].sum() == 0 and torn[4:].sum() == 0


def test_the_cut_and_the_energy_are_bound_as_they_should_be(random_graph, noise):
    graph, weights = random_graph(9)
    energy = max_cut(graph, weights)
    state = random_states(energy, noise(20))
    low, high = graph.pairs.long().unbind(1)
    torch.testing.assert_close(cut(energy, state), (state[:, low] != state[:, high]).double() @ weights)


def test_the_best_state_met_is_kept_though_the_chain_leaves_it(random_ising, noise):
    energy = random_ising(8)
    best = all_states(energy)[energy(all_states(energy)).argmin()][None]
    found = anneal(energy, best, [0.01] * 5, noise(1))
    assert torch.equal(found.state, best)


def test_clamped_nodes_stay_in_annealing(random_ising, noise):
    energy = random_ising(10)
    first = random_states(energy, noise(4))
    found = anneal(energy, first, cooling(2, 0.1, 10), noise(4), clamped=torch.arange(10) < 4)
    assert torch.equal(found.state[:, :4], first[:, :4]) and not torch.equal(found.state, first)


def test_cooling_falls_geometrically_and_ends_downhill():
    betas = cooling(8, 0.5, 5, quench=1)
    assert betas == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1, 2, math.inf])
    with pytest.raises(Error, match="hot >= cold"):
        cooling(1, 2, 5)
