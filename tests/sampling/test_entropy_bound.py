"""What is decided together hangs together by no more than the budget, and a text takes as many steps as it needs."""

import math

import pytest
import torch

from benchmarks.studies.sampling.ordered_law import ordered_law
from unmask.certificates.ground import Ground
from unmask.certificates.worlds import WORLDS
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.sampling import Confidence, EntropyBound, Vocabulary, fill_request, generate, ticks

VOCABULARY = Vocabulary()
FORBIDDEN = [VOCABULARY.pad, VOCABULARY.bos, VOCABULARY.eos, VOCABULARY.mask]


def doubts(logits):
    """Each proxy of the error of each position, in nats or as a probability, one position at a time."""
    found = {"entropy": [], "peak": [], "margin": []}
    for row in logits.double().index_fill(1, torch.tensor(FORBIDDEN), -torch.inf):
        p = sorted(row.softmax(-1).tolist(), reverse=True)
        found["entropy"].append(-sum(x * math.log(x) for x in p if x > 0))
        found["peak"].append(-p[0])
        found["margin"].append(p[1] - p[0])
    return found


@pytest.mark.parametrize("proxy", ["entropy", "peak", "margin"])
@pytest.mark.parametrize("budget", [0.0, 0.7, 2.5, 6.0])
def test_each_step_decides_the_longest_prefix_that_the_budget_allows(tiny, budget, proxy):
    model, sizes = tiny(), []
    settings = EntropyBound.Settings(entropy_budget=budget, error_proxy=proxy, ignore_eos=True)
    before = None
    for tick in ticks(model, EntropyBound(), [fill_request([5], 12, VOCABULARY, settings, suffix=[7])], VOCABULARY):
        if before is not None:
            places = before.open[0].nonzero()[:, 0].tolist()
            seen = doubts(model(State(before.tokens), at=before.open).logits)
            order = sorted(range(len(places)), key=seen[proxy].__getitem__)
            count = int(tick.frame.changed.sum())
            assert tick.frame.changed[0].nonzero()[:, 0].tolist() == sorted(places[i] for i in order[:count])
            nats = [seen["entropy"][i] for i in order]
            assert sum(nats[:count]) - max(nats[:count]) <= budget + 1e-6
            assert count == len(order) or sum(nats[: count + 1]) - max(nats[: count + 1]) > budget - 1e-6
            sizes.append(count)
        before = tick.state
    assert sum(sizes) == 12 and (max(sizes) > 1) == (budget > 0.7)


@pytest.mark.parametrize("name", list(WORLDS))
@pytest.mark.parametrize("proxy", ["entropy", "peak", "margin"])
def test_a_perfect_network_errs_by_at_most_the_budget_a_step_and_without_a_budget_not_at_all(name, proxy):
    ground = Ground(name, WORLDS.get(name)(), 4)
    p = ground.truth
    for budget in (0.0, 0.8, 1.5, 9.0):
        settings = EntropyBound.Settings(entropy_budget=budget, error_proxy=proxy)
        found = ordered_law(EntropyBound(), settings, ground)
        assert float(found.law.sum()) == pytest.approx(1)
        divergence = float((p * (p / found.law).log()).sum())
        assert divergence <= float((p * found.excess).sum()) + 1e-12
        assert bool((found.excess <= budget * found.steps).all())
        if budget == 0:
            assert divergence == pytest.approx(0, abs=1e-12) and bool((found.steps == 4).all())
            assert EntropyBound().promise(settings) == "exact"
        else:
            assert EntropyBound().promise(settings) == "none"
    assert bool((found.steps == 1).all()) and divergence > 0.1, "a budget for everything draws all words apart"


class Doubts:
    """Certain of a word at even positions, of nothing at odd ones."""

    def __call__(self, state, at=None):
        column = at.nonzero()[:, 1]
        logits = torch.zeros(len(column), 12)
        logits[column % 2 == 0] = -torch.inf
        logits[column % 2 == 0, 5] = 0.0
        return Prediction(logits)


def test_words_without_doubt_cost_no_step_of_their_own():
    # Eight doubtful words take a step each; the certain ones all go with the first of them.
    settings = EntropyBound.Settings(entropy_budget=0.0, ignore_eos=True)
    (sample,) = generate(Doubts(), EntropyBound(), [fill_request([], 16, VOCABULARY, settings)], VOCABULARY)
    assert sample.steps == sample.forwards == 8 and sample.written[1::2] == (5,) * 8


def test_the_number_of_steps_is_that_of_the_text():
    def steps(share):
        class Sure:
            def __call__(self, state, at=None):
                logits = torch.zeros(int(at.sum()), 12)
                logits[:, 5] = share
                return Prediction(logits)

        request = fill_request([], 16, VOCABULARY, EntropyBound.Settings(entropy_budget=0.5, ignore_eos=True))
        return generate(Sure(), EntropyBound(), [request], VOCABULARY)[0].steps

    assert [steps(x) for x in (0.0, 12.0)] == [16, 1] and 1 < steps(6.0) < 16


def test_a_temperature_orders_nothing_anew(tiny):
    # What is decided together is a matter of the model's doubt, not of how sharply one draws from it.
    model = tiny()
    first = []
    for temperature in (0.0, 0.5, 1.0):
        settings = EntropyBound.Settings(entropy_budget=3.0, temperature=temperature, ignore_eos=True)
        state = EntropyBound().start([fill_request([5], 12, VOCABULARY, settings)], VOCABULARY)
        first.append(EntropyBound().step(model, state)[1].changed.tolist())
    assert first[0] == first[1] == first[2] and sum(first[0][0]) > 1


WAYS = [
    (Confidence(), {"steps": 4}),
    (Confidence(), {"steps": 30, "reveal": "linear"}),
    (Confidence(), {"steps": 6, "confidence_of": "drawn", "confidence_stop": 0.4}),
    (EntropyBound(), {"entropy_budget": 0.0}),
    (EntropyBound(), {"entropy_budget": 2.0}),
    (EntropyBound(), {"entropy_budget": 2.0, "error_proxy": "margin"}),
]


def history(model, sampler, **settings):
    """All canvases on the way to a text, under each of five seeds and text numbers."""
    seen = []
    for number in range(5):
        own = sampler.Settings(temperature=0.0, seed=100 + number, **settings)
        requests = [fill_request([5, 6], 12, VOCABULARY, own, index=number)]
        seen.append([tick.state.tokens.tolist() for tick in ticks(model, sampler, requests, VOCABULARY)])
    return seen


@pytest.mark.parametrize(("sampler", "settings"), WAYS, ids=str)
def test_at_temperature_zero_every_step_is_the_same_whatever_the_seed(tiny, sampler, settings):
    first, *others = history(tiny(), sampler, **settings)
    assert all(other == first for other in others)


def test_confidence_noise_alone_makes_the_order_a_matter_of_chance(tiny):
    seen = history(tiny(), Confidence(), steps=6, confidence_noise=1.0)
    assert len({str(way) for way in seen}) == 5


@pytest.mark.parametrize(
    ("name", "value"), [("entropy_budget", -0.1), ("entropy_budget", float("inf")), ("error_proxy", "drawn")]
)
def test_settings_that_cannot_work_are_refused_by_name(name, value):
    with pytest.raises(Error, match=f"^{name} is"):
        EntropyBound.Settings(**{name: value})
