import pytest
import torch

from benchmarks.studies.energies.contrastive import contrastive_loss, gibbs_move, langevin_move
from benchmarks.studies.energies.enumeration import exact_law
from unmask.diffusion.noise import Noise
from unmask.roots.energies.coloring import greedy_coloring
from unmask.roots.energies.discrete import random_states
from unmask.roots.energies.ising import Ising, moments


def draw(law, noise):
    """Return exact samples of an enumerated law."""
    place = torch.searchsorted(law.log_p.exp().cumsum(0), noise.uniform("exact", 1)[:, 0])
    return law.states[place.clamp(max=len(law.states) - 1)]


def learner(energy):
    """Return an energy that knows nothing yet, on the same graph."""
    fields = torch.zeros_like(energy.fields, requires_grad=True)
    return Ising(energy.graph, fields, torch.zeros_like(energy.couplings, requires_grad=True))


def divergence(energy, model):
    law = exact_law(energy)
    return float((law.log_p.exp() * (law.log_p - exact_law(model).log_p.detach())).sum())


def test_the_gradient_is_that_of_the_exact_likelihood(random_ising, noise):
    truth, n = random_ising(6), 40_000
    model = random_ising(6, seed=3)
    model = Ising(truth.graph, model.fields.clone().requires_grad_(), (0.5 * truth.couplings).requires_grad_())
    law, own = exact_law(truth), exact_law(model)
    nats = -(law.log_p.exp() * own.log_p).sum()
    wanted = torch.autograd.grad(nats, (model.fields, model.couplings))
    chains = random_states(model, noise(n))
    found, _ = contrastive_loss(model, draw(law, noise(n, seed=1)), chains, gibbs_move(model, 40), noise(n, seed=2))
    for a, b in zip(torch.autograd.grad(found, (model.fields, model.couplings)), wanted, strict=True):
        # 4 standard errors of a difference of two means of n signs.
        assert (a - b).abs().max() < 4 * (2 / n) ** 0.5
        assert b.abs().max() > 0.1


def test_descent_raises_the_field_of_a_spin_that_is_up_more_often_in_the_data(random_ising, noise):
    model = learner(random_ising(6))
    data = torch.ones(100, 6, dtype=torch.float64)
    found, negatives = contrastive_loss(model, data, random_states(model, noise(100)), gibbs_move(model, 1), noise(100))
    fields, couplings = torch.autograd.grad(found, (model.fields, model.couplings))
    assert (fields < 0).all() and (couplings < 0).all()
    mean, pair = moments(model.graph, negatives)
    torch.testing.assert_close((fields, couplings), (mean - 1, pair - 1))
    assert not negatives.requires_grad


@pytest.mark.parametrize(("persistent", "left"), [(True, 0.01), (False, 0.02)], ids=["persistent CD", "CD-1"])
def test_contrastive_divergence_learns_a_known_ising_model(random_ising, noise, persistent, left):
    truth = random_ising(8, scale=0.6)
    law = exact_law(truth)
    data = draw(law, noise(4000))
    model = learner(truth)
    colour = greedy_coloring(truth.graph)
    before = divergence(truth, model)
    chains = random_states(model, noise(500, seed=1))
    optimiser = torch.optim.SGD([model.fields, model.couplings], 0.3)
    for step in range(200):
        batch = data[(torch.arange(500) + 500 * step) % len(data)]
        fresh = Noise(2, torch.arange(500)).fold(torch.tensor(step))
        first = chains if persistent else batch
        loss, chains = contrastive_loss(model, batch, first, gibbs_move(model, 1, colour), fresh)
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = 0.3 * (1 - step / 200)
        optimiser.step()
    assert before > 0.5 and divergence(truth, model) < left
    wanted, learned = (moments(truth.graph, law.states, own.log_p.exp()) for own in (law, exact_law(model)))
    assert all((a - b).abs().max() < 0.1 for a, b in zip(wanted, learned, strict=True))


def test_a_continuous_energy_learns_mean_and_variance_from_langevin_negatives(noise):
    h, n = 0.1, 2000
    data = 2 + 0.7 * noise(n).normal("data", 1)
    centre, log_precision = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)

    def energy(x):
        return log_precision.exp() * (x - centre).square().sum(-1) / 2

    chains = noise(n, seed=1).normal("chains", 1)
    optimiser = torch.optim.SGD([centre, log_precision], 0.3)
    for step in range(150):
        fresh = Noise(2, torch.arange(n)).fold(torch.tensor(step))
        loss, chains = contrastive_loss(energy, data, chains, langevin_move(energy, h, 5), fresh)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # The chains' law, not the energy's, meets the data: v / (1 - h / 2v) = var with v = 1 / precision.
    v = float((-log_precision.detach()).exp())
    assert float(centre.detach()) == pytest.approx(float(data.mean()), abs=0.05)
    assert v / (1 - h / (2 * v)) == pytest.approx(float(data.var()), rel=0.08)
    assert v < float(data.var()), "the known bias of unadjusted negatives"
