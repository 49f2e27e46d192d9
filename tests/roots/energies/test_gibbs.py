import math

import pytest
import torch

from benchmarks.studies.energies.enumeration import all_states, exact_law
from benchmarks.studies.energies.potts import Potts
from unmask.diffusion.noise import Noise
from unmask.errors import Error
from unmask.roots.energies.discrete import make_blocks, random_states
from unmask.roots.energies.gibbs import conditional, gibbs, start, sweep, uniforms
from unmask.roots.energies.ising import moments


def transition(energy, block, beta=1.0):
    """Return the exact transition matrix [S, S] of one block's move, from the conditionals that the sampler uses."""
    states = all_states(energy)
    _, weights = conditional(energy, block, states.T.contiguous(), beta)
    probability = weights / weights.sum(-1, keepdim=True)
    move = torch.ones(len(states), len(states), dtype=torch.float64)
    for node in range(energy.graph.nodes):
        place = (block.nodes == node).nonzero()
        if len(place):
            move *= probability[place[0, 0]][:, torch.searchsorted(energy.values, states[:, node].contiguous())]
        else:
            move *= states[:, None, node] == states[None, :, node]
    return move


def last(path):
    *_, x = path
    return x


def test_each_block_satisfies_detailed_balance_and_a_sweep_keeps_the_law(small):
    energy = small(5, share=0.7)
    law = exact_law(energy, 1.3).log_p.exp()
    whole = torch.eye(len(law), dtype=torch.float64)
    blocks = make_blocks(energy, most=100)
    assert len(blocks) > 1
    for block in blocks:
        move = transition(energy, block, 1.3)
        torch.testing.assert_close(move.sum(1), torch.ones_like(law))
        torch.testing.assert_close(law[:, None] * move, (law[:, None] * move).T)
        whole = whole @ move
    torch.testing.assert_close(law @ whole, law)
    assert (law[:, None] * whole - (law[:, None] * whole).T).abs().max() > 1e-4, "a whole sweep is not reversible"


def test_a_sweep_moves_as_its_transition_matrix_says(small, noise):
    energy = small(4, share=0.8)
    whole = torch.eye(len(all_states(energy)), dtype=torch.float64)
    for block in make_blocks(energy, most=100):
        whole = whole @ transition(energy, block)
    n, first = 60_000, 5
    moved = last(gibbs(energy, all_states(energy)[first].expand(n, 4), 1, noise(n)))
    place = len(energy.values) ** torch.arange(3, -1, -1)
    seen = torch.bincount((torch.searchsorted(energy.values, moved) * place).sum(1), minlength=len(whole))
    expected = n * whole[first]
    frequent = expected > 5
    statistic = float(((seen - expected).square() / expected)[frequent].sum())
    freedom = int(frequent.sum()) - 1
    # Chi-squared: mean f, variance 2f; rare states are left out.
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)


def test_ising_marginals_and_pair_correlations_are_those_of_enumeration(random_ising, noise):
    energy = random_ising(14, scale=0.4, share=0.3)
    law = exact_law(energy)
    truth = moments(energy.graph, law.states, law.log_p.exp())
    states = last(gibbs(energy, random_states(energy, noise(6000)), 60, noise(6000)))
    for seen, true in zip(moments(energy.graph, states), truth, strict=True):
        # 4 standard errors of a mean of 6,000 signs.
        assert ((seen - true).abs() < 4 * ((1 - true.square()) / 6000).sqrt()).all()
    assert truth[0].abs().max() > 0.3 and truth[1].abs().max() > 0.3


def test_potts_marginals_and_agreements_are_those_of_enumeration(random_potts, noise):
    energy = random_potts(8, 4, share=0.4)
    law = exact_law(energy)
    p = law.log_p.exp()
    states = last(gibbs(energy, random_states(energy, noise(6000)), 60, noise(6000)))
    low, high = energy.graph.pairs.long().unbind(1)
    for of in (lambda s: torch.nn.functional.one_hot(s, 4).flatten(1), lambda s: s[:, low] == s[:, high]):
        true, seen = p @ of(law.states).double(), of(states).double().mean(0)
        assert ((seen - true).abs() < 4 * (true * (1 - true) / 6000).sqrt()).all()


def test_clamped_nodes_stay_and_the_others_follow_their_conditional_law(random_ising, noise):
    energy = random_ising(8, share=0.5)
    clamped = torch.arange(8) < 3
    first = random_states(energy, noise(6000))
    first[:, :3] = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    states = last(gibbs(energy, first, 40, noise(6000), clamped=clamped))
    assert torch.equal(states[:, :3], first[:, :3])
    law = exact_law(energy)
    given = (law.states[:, :3] == first[0, :3]).all(1)
    true = law.log_p[given].softmax(0) @ law.states[given][:, 3:]
    assert ((states[:, 3:].mean(0) - true).abs() < 4 * ((1 - true.square()) / 6000).sqrt()).all()


@pytest.mark.parametrize("beta", [0.7, math.inf])
def test_the_change_that_a_sweep_tells_is_the_change_of_the_energy(small, noise, beta):
    energy = small(30, share=0.2)
    moving, blocks = start(energy, random_states(energy, noise(50)), None, None)
    for k in range(6):
        before = energy(moving.T)
        change = sweep(energy, blocks, moving, beta, uniforms(energy, noise(50), k))
        torch.testing.assert_close(change, energy(moving.T) - before)
        if beta == math.inf:
            assert change.max() <= 0 and (k > 0 or change.min() < 0)


def test_at_zero_temperature_ties_are_broken_at_random(random_potts, noise):
    free = random_potts(3, 3)
    free = Potts(free.graph, torch.zeros(3, 3), torch.zeros(len(free.graph.pairs)))
    states = last(gibbs(free, torch.zeros(9000, 3, dtype=torch.int64), 1, noise(9000), beta=math.inf))
    for value in range(3):
        assert (((states == value).float().mean(0) - 1 / 3).abs() < 4 * (2 / 9 / 9000) ** 0.5).all()


def test_a_chain_does_not_depend_on_its_batch_mates_or_on_how_blocks_are_cut(small, noise, monkeypatch):
    energy = small(20)
    first = random_states(energy, noise(6))
    together = list(gibbs(energy, first, 5, noise(6)))
    alone = list(gibbs(energy, first[4:5], 5, Noise(0, torch.tensor([4]))))
    monkeypatch.setattr("unmask.roots.energies.gibbs.CELLS", 1)
    pieces = list(gibbs(energy, first, 5, noise(6)))
    for a, b, c in zip(together, alone, pieces, strict=True):
        assert torch.equal(a[4:5], b) and torch.equal(a, c)
    assert not torch.equal(together[-1], last(gibbs(energy, first, 5, noise(6, seed=1))))


def test_potts_with_two_values_and_ising_take_the_same_path_from_the_same_noise(random_ising, noise):
    ising = random_ising(12)
    potts = Potts(ising.graph, torch.stack([-ising.fields, ising.fields], 1), 2 * ising.couplings)
    spins = random_states(ising, noise(10))
    colours = ((spins + 1) / 2).long()
    for s, c in zip(gibbs(ising, spins, 8, noise(10)), gibbs(potts, colours, 8, noise(10)), strict=True):
        assert torch.equal(s, 2.0 * c - 1)


def test_the_callers_state_is_left_alone(small, noise):
    energy = small(6)
    first = random_states(energy, noise(3))
    kept = first.clone()
    path = list(gibbs(energy, first, 4, noise(3), beta=0.1))
    assert torch.equal(first, kept) and not torch.equal(path[0], path[1])


def test_a_state_that_does_not_fit_is_refused(random_ising, noise):
    energy = random_ising(5)
    with pytest.raises(Error, match=r"\[chains, 5\]"):
        next(gibbs(energy, torch.ones(5), 1, noise(1)))
    with pytest.raises(Error, match="-1 and"):
        next(gibbs(energy, torch.zeros(1, 5), 1, noise(1)))
