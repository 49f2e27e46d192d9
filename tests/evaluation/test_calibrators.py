"""Maps of confidence: what was planted is found, what is not there is not, and what is right depends on the states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unmask.certificates.worlds import WORLDS
from unmask.evaluation.areas import auroc, auroc_interval
from unmask.evaluation.calibration import reliability
from unmask.evaluation.calibrators import METHODS, choose, fit
from unmask.evaluation.confidences import TEMPERATURES, Confidences, Text, collect
from unmask.sampling import Confidence
from unmask.sampling.block import Blocks

WIDTH = 6


def told(count: int = 12_000, temperature: float = 1.0, hint: float = 0.0, seed: int = 0) -> Confidences:
    """Words of known distributions over 5, told by a network at a temperature; ``hint``: states know more."""
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(rng.dirichlet([0.5] * 5, count))
    logits = truth.clamp(min=1e-12).log() / temperature
    drawn = torch.from_numpy(rng.random(count))
    p = logits.softmax(-1)
    best = p.argmax(-1)
    chance = truth.gather(1, best[:, None])[:, 0]
    states = torch.from_numpy(rng.standard_normal((count, WIDTH))).float()
    chance = (chance.logit(1e-6) + hint * states[:, 0]).sigmoid()
    grid = torch.tensor(TEMPERATURES, dtype=torch.float64)
    right = drawn < chance
    return Confidences(
        level=torch.from_numpy(rng.random(count)),
        peak=p.amax(-1),
        entropy=torch.special.entr(p).sum(-1),
        squares=p.square().sum(-1),
        hot=(logits[:, None] / grid[None, :, None]).softmax(-1).amax(-1),
        right=right,
        document=torch.arange(count) % 60,
        drawn=p.amax(-1),
        drawn_right=right,
        states=states,
    )


def ece(calibration, data):
    return reliability("all", calibration(data).numpy(), data.right.numpy(), data.document.numpy()).scores.ece


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_planted_temperature_is_found_and_the_error_goes(temperature):
    data, other = told(temperature=temperature), told(temperature=temperature, seed=1)
    found = fit("temperature", data)
    assert np.allclose(found.numbers["T"], 1 / temperature, rtol=0.12)
    before = ece(fit("none", data), other)
    for method in METHODS[1:]:
        assert ece(fit(method, data), other) < 0.4 * before


def test_a_calibrated_network_keeps_its_own_confidence():
    data = told()
    best, tried = choose([fit(method, data) for method in METHODS], told(seed=1))
    assert best.method == "none" and [one.method for one in tried] == list(METHODS)


def test_a_head_is_chosen_where_hidden_states_know_more_and_orders_better():
    data, other = told(hint=2.0), told(hint=2.0, seed=1)
    best, _ = choose([fit(method, data) for method in METHODS], told(hint=2.0, seed=2))
    assert best.method == "head"
    assert auroc(best(other).numpy(), other.right.numpy()) > auroc(other.peak.numpy(), other.right.numpy()) + 0.03


def test_a_level_with_few_positions_has_the_fit_of_all():
    data = told(3_000, temperature=0.5)
    few = data.at((data.level > 0.1) | (torch.arange(3_000) < 300))
    whole = fit("platt", few.at(few.level > 2)).numbers["a"][0], fit("platt", few).numbers["a"]
    assert whole[0] == 1.0, "nothing to fit: the confidence as it is"
    assert int((few.level <= 0.1).sum()) < 200 and len(set(whole[1])) == 6
    alone = fit("platt", few.at(few.level > 0.1)).numbers["a"]
    assert alone[1:] == whole[1][1:] and alone[0] != whole[1][0], "the first level's is that of all there are"


def test_the_interval_of_an_auroc_is_that_of_documents_drawn_anew():
    rng = np.random.default_rng(0)
    document = np.repeat(np.arange(80), 25)
    ease = rng.standard_normal(80)[document]
    confidence = 1 / (1 + np.exp(-(ease + rng.standard_normal(2000))))
    right = rng.random(2000) < 1 / (1 + np.exp(-ease - 0.5))
    low, high = auroc_interval(confidence, right, document)
    again = []
    for _ in range(300):
        rows = np.concatenate([np.flatnonzero(document == d) for d in rng.integers(0, 80, 80)])
        again.append(auroc(confidence[rows], right[rows]))
    assert (high - low) / 2 == pytest.approx(1.96 * np.std(again), rel=0.2)


@pytest.fixture(scope="module")
def world():
    return WORLDS.get("hmm")()


def texts(world, count: int, length: int = 12) -> list[Text]:
    rng = torch.Generator().manual_seed(0)
    found = []
    for number in range(count):
        state = torch.multinomial(world.start, 1, generator=rng)
        row = [world.vocabulary.bos]
        for _ in range(length):
            row.append(world.first + int(torch.multinomial(world.emission[state[0]], 1, generator=rng)))
            state = torch.multinomial(world.transition[state[0]], 1, generator=rng)
        found.append(Text(number, row))
    return found


@pytest.mark.parametrize("sampler", [Confidence, Blocks])
@pytest.mark.parametrize("kind", ["forced", "corrupted"])
def test_a_perfect_network_is_calibrated_on_states_whose_words_are_the_texts_own(world, sampler, kind):
    data = collect(world, sampler(), texts(world, 300), world.vocabulary, kind, block=4 if sampler is Blocks else 0)
    for confidence, right in ((data.peak, data.right), (data.drawn, data.drawn_right)):
        found = reliability("all", confidence.numpy(), right.numpy(), data.document.numpy())
        assert found.scores.ece < 3 * found.ece_floor + 0.01
    assert float(data.level.max()) > 0.9 and float(data.level.min()) < 0.3


def test_words_of_the_networks_own_are_no_truth(world):
    """It agrees with the hidden text less often than it is sure, though it knows every probability."""
    written, forced = (
        collect(world, Confidence(), texts(world, 300), world.vocabulary, k) for k in ("written", "forced")
    )
    gap = [float(one.peak.mean() - one.right.double().mean()) for one in (written, forced)]
    assert gap[0] > gap[1] + 0.02


def test_what_is_collected_depends_on_the_seed_alone(world):
    one, same, other = (
        collect(world, Confidence(), texts(world, 20), world.vocabulary, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(one.drawn, same.drawn) and not torch.equal(one.drawn, other.drawn)
