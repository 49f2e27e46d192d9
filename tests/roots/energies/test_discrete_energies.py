import itertools

import pytest
import torch

from benchmarks.studies.energies.enumeration import all_states, exact_law
from benchmarks.studies.energies.potts import Potts
from unmask.errors import Error
from unmask.roots.energies.discrete import make_blocks, random_states
from unmask.roots.energies.graph import make_graph
from unmask.roots.energies.ising import Ising, moments


def by_hand(energy, state):
    """Return the energy as the formula in the docstring reads, one term after another."""
    total = 0.0
    for i, s in enumerate(state.tolist()):
        total -= float(energy.fields[i] * s if isinstance(energy, Ising) else energy.fields[i, s])
    for (i, j), coupling in zip(energy.graph.pairs.tolist(), energy.couplings.tolist(), strict=True):
        a, b = state[i].item(), state[j].item()
        total -= coupling * (a * b if isinstance(energy, Ising) else float(a == b))
    return total


def test_energies_are_what_their_formula_says(small):
    energy = small(5)
    states = all_states(energy)
    assert len(states) == len(energy.values) ** 5 == len(states.unique(dim=0))
    torch.testing.assert_close(energy(states), torch.tensor([by_hand(energy, s) for s in states], dtype=torch.float64))


def test_logits_are_minus_the_energy_of_each_value(small):
    energy = small(6, share=0.6)
    states = all_states(energy)[::37]
    for block in make_blocks(energy, most=100):
        logits = energy.logits(block, states.T.contiguous())
        for (k, node), (a, b) in itertools.product(
            enumerate(block.nodes), itertools.combinations(range(len(energy.values)), 2)
        ):
            one, two = states.clone(), states.clone()
            one[:, node], two[:, node] = energy.values[a], energy.values[b]
            torch.testing.assert_close(logits[k, :, a] - logits[k, :, b], energy(two) - energy(one))


def test_blocks_hold_each_free_node_once_and_no_two_neighbours(small):
    energy = small(14)
    clamped = torch.arange(14) % 5 == 0
    blocks = make_blocks(energy, clamped, most=3)
    assert sorted(torch.cat([block.nodes for block in blocks]).tolist()) == (~clamped).nonzero()[:, 0].tolist()
    for block in blocks:
        assert len(block.nodes) <= 3 and not set(block.nodes.tolist()) & set(block.neighbours.tolist())


def test_potts_with_two_values_is_ising_with_half_the_coupling(random_ising):
    ising = random_ising(7)
    fields = torch.stack([-ising.fields, ising.fields], 1)
    potts = Potts(ising.graph, fields, 2 * ising.couplings)
    states = all_states(ising)
    difference = ising(states) - potts(((states + 1) / 2).long())
    torch.testing.assert_close(difference, difference[:1].expand(len(states)))


def test_a_positive_coupling_makes_neighbours_alike_and_a_positive_field_pulls_up():
    graph, _ = make_graph(torch.tensor([[0, 1]]), torch.ones(1), 2)
    for coupling, alike in ((0.8, torch.tensor(0.8).tanh()), (-0.8, -torch.tensor(0.8).tanh())):
        law = exact_law(Ising(graph, torch.zeros(2), torch.tensor([coupling])))
        torch.testing.assert_close(moments(graph, law.states, law.log_p.exp())[1][0], alike)
    law = exact_law(Ising(graph, torch.tensor([0.5, -0.3]), torch.zeros(1)))
    torch.testing.assert_close(moments(graph, law.states, law.log_p.exp())[0], torch.tensor([0.5, -0.3]).tanh())


def test_an_exact_law_sums_to_one_and_knows_its_temperature(small):
    energy = small(5)
    for beta in (0.5, 1.0, 3.0):
        law = exact_law(energy, beta)
        assert float(law.log_p.exp().sum()) == pytest.approx(1)
        torch.testing.assert_close(law.log_p + law.log_z, -beta * energy(law.states))


def test_random_states_are_uniform(small, noise):
    energy = small(4)
    states = random_states(energy, noise(20_000))
    for value in energy.values:
        share = (states == value).double().mean(0)
        assert ((share - 1 / len(energy.values)).abs() < 4 * (0.25 / 20_000) ** 0.5).all()


def test_what_does_not_fit_the_graph_is_refused():
    graph, weights = make_graph(torch.tensor([[0, 1], [1, 2]]), torch.ones(2), 3)
    with pytest.raises(Error, match="3 fields and 2 couplings"):
        Ising(graph, torch.zeros(2), weights)
    with pytest.raises(Error, match=r"fields \[3, values\]"):
        Potts(graph, torch.zeros(3), weights)
    big, more = make_graph(torch.tensor([[0, 1]]), torch.ones(1), 30)
    with pytest.raises(Error, match="too many"):
        exact_law(Ising(big, torch.zeros(30), more))
