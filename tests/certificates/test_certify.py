"""A right sampler is certified, a wrong one is not, and the band holds what it says it holds.

Tolerance: 10,000 exact texts of the 81 are about 0.03 from the truth, and the band adds 0.014.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from benchmarks.studies.sampling.ordered_law import ordered_law
from unmask.certificates.certify import STEPS, certifiable, certify
from unmask.certificates.ground import Ground, write_texts
from unmask.certificates.total_variation import binomial_lower, noise_floor, total_variation
from unmask.certificates.worlds import HMM, WORLDS
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.sampling import (
    SAMPLERS,
    Ancestral,
    Autoregressive,
    Confidence,
    EntropyBound,
    Remasking,
    Settings,
    fill_request,
    generate,
)
from unmask.sampling.sampler import Promise

ROOT = Path(__file__).resolve().parents[2]
SIZE = {"samples": 10_000, "tolerance": 0.055}
LENGTH = 4
GROUNDS = {name: Ground(name, WORLDS.get(name)(), LENGTH) for name in ("markov", "hmm")}
PHRASES = Ground("phrases", WORLDS.get("phrases")(), 3)
WAYS = [(name, variant) for name in certifiable() for variant in ({}, *SAMPLERS.get(name).variants)]


@pytest.fixture(params=list(GROUNDS))
def ground(request) -> Ground:
    return GROUNDS[request.param]


@pytest.mark.parametrize(("name", "variant"), WAYS, ids=str)
def test_every_registered_sampler_keeps_its_promise(ground, name, variant):
    holds(ground, name, variant)


@pytest.mark.parametrize(("name", "variant"), [way for way in WAYS if way[0] == "block"], ids=str)
def test_blocks_keep_their_promise_where_words_are_all_but_certain(name, variant):
    holds(PHRASES, name, variant)


def holds(ground: Ground, name: str, variant: Mapping[str, Any]) -> None:
    """Assert what a sampler promises of its texts in a world."""
    certificate = certify(SAMPLERS.get(name)(), SAMPLERS.facts(name)(**variant), ground, steps=(2, 32), **SIZE)
    expected = {
        "exact": "exact",
        "reverse": "exact in the limit, the reverse process",
        "process": "its process at each step count",
        "limit": "exact in the limit",
        "none": "trades: TV",
    }
    assert set(expected) == set(get_args(Promise))
    assert certificate.verdict.startswith(expected[certificate.promise])


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        (Confidence(), {"steps": 2}),
        (EntropyBound(), {"entropy_budget": 1.0}),
        (EntropyBound(), {"entropy_budget": 9.0}),
    ],
    ids=str,
)
def test_texts_follow_the_exact_law_of_their_order(ground, sampler, settings):
    settings = sampler.Settings(**settings, ignore_eos=True)
    law = ordered_law(sampler, settings, ground).law
    seen, _ = write_texts(sampler, settings, ground, SIZE["samples"])
    off = total_variation(seen, law)
    assert off.low < 0.01 and off.high < SIZE["tolerance"] < ground.from_truth(law)


class Through:
    """A network that looks at a state, or answers, through a function."""

    def __init__(self, model, look=lambda state: state, answer=lambda logits: logits) -> None:
        self.model, self.look, self.answer = model, look, answer

    def __call__(self, state, at=None):
        return Prediction(self.answer(self.model(self.look(state), at).logits))


class SecretlyCold(Ancestral):
    """Draws at temperature 0.7 and says nothing."""

    def step(self, model, state):
        return super().step(Through(model, answer=lambda logits: logits / 0.7), state)


@dataclass(frozen=True)
class SecretlyColdLeftToRight(Autoregressive):
    """The same, left to right."""

    use_cache: bool = False

    def step(self, model, state):
        return super().step(Through(model, answer=lambda logits: logits / 0.7), state)


class Neighbours(Ancestral):
    """Writes the word that was drawn for the next decided position."""

    def step(self, model, state):
        return super().step(Through(model, answer=lambda logits: logits.roll(1, 0)), state)


class OneStepAhead(Ancestral):
    """Reveals with probability 1 / (steps left - 1): right in the limit, but not the reverse process."""

    def step(self, model, state):
        after, frame = super().step(model, replace(state, step=state.step + 1))
        return replace(after, step=after.step - 1), frame


class OneStepBehind(Ancestral):
    """Reveals with probability 1 / (steps left + 1)."""

    def step(self, model, state):
        (own,) = set(state.settings)
        late = (own.but(steps=own.steps + 1),) * len(state.settings)
        after, frame = super().step(model, replace(state, settings=late))
        return replace(after, settings=(own,) * len(late)), frame


class Unaware(Confidence):
    """Never looks at what it wrote."""

    def promise(self, settings):
        return "limit"

    def step(self, model, state):
        mask = state.vocabulary.mask

        def blank(view):
            return replace(view, tokens=view.tokens.masked_fill(view.tokens > mask, mask))

        return super().step(Through(model, look=blank), state)


class Overstated(Confidence):
    """Orders by the word that was drawn, or stops early, and claims to be exact in the limit."""

    def promise(self, settings):
        return "limit"


class LikelierThanNot(Confidence):
    """Accepts what is likelier than not, whatever confidence was asked for."""

    def step(self, model, state):
        after, frame = super().step(
            model, replace(state, settings=tuple(s.but(sure_above=0.5) for s in state.settings))
        )
        return replace(after, settings=state.settings), frame


class ForgetsTheOthers(Confidence):
    """Accepts a position for its own doubt: that of the others beside it is not counted."""

    def step(self, model, state):
        own = tuple(s.but(accept="threshold", sure_above=0.6) for s in state.settings)
        after, frame = super().step(model, replace(state, settings=own))
        return replace(after, settings=state.settings), frame


class OverstatedBudget(EntropyBound):
    """Draws words together that hang together, and claims to be exact."""

    def promise(self, settings):
        return "exact"


class TakesBackOneWord(Remasking):
    """Takes back nothing but one word, as often as all should be."""

    def step(self, model, state):
        after, frame = super().step(model, state)
        kept = after.open & ~state.open & (state.tokens != GROUNDS["hmm"].world.first)
        tokens = torch.where(kept, state.tokens, after.tokens)
        return replace(after, tokens=tokens, open=after.open & ~kept), frame


class NeverDone(Ancestral):
    """Decides nothing."""

    def step(self, model, state):
        return state, None


@pytest.mark.parametrize(
    ("wrong", "settings"),
    [
        (SecretlyCold(), {}),
        (SecretlyColdLeftToRight(), {}),
        (Neighbours(), {}),
        (OneStepAhead(), {}),
        (OneStepBehind(), {}),
        (Unaware(), {}),
        (Overstated(), {"confidence_of": "drawn"}),
        (Overstated(), {"confidence_of": "drawn", "confidence_noise": 1.0}),
        (Overstated(), {"temperature": 0.7}),
        (LikelierThanNot(), {"accept": "threshold", "sure_above": 1.0}),
        (LikelierThanNot(), {"accept": "stable", "sure_above": 1.0, "stable_nats": 1.0, "stable_looks": 1}),
        (ForgetsTheOthers(), {"accept": "profile", "doubt_budget": 0.0}),
        (Overstated(), {"accept": "threshold", "sure_above": 0.6}),
        (Overstated(), {"accept": "entropy", "entropy_budget": 1.0}),
        (OverstatedBudget(), {"entropy_budget": 1.0}),
        (TakesBackOneWord(), {"remask_strength": 0.5}),
        (NeverDone(), {}),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, dict) else "-".join(map(str, x)),
)
def test_a_wrong_sampler_fails(wrong, settings):
    certificate = certify(wrong, wrong.Settings(**settings), GROUNDS["hmm"], steps=(1, 2, 32), **SIZE)
    assert certificate.failed and certificate.verdict.startswith("FAILS its promise")


def test_a_stop_that_fills_many_positions_at_once_is_not_exact_where_words_stay_uncertain():
    settings = Confidence.Settings(confidence_stop=0.5)
    assert certify(Overstated(), settings, GROUNDS["hmm"], steps=(64,), **SIZE).failed


@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_ancestral_sampling_is_the_reverse_process_at_every_number_of_steps(ground, steps):
    (cell,) = certify(Ancestral(), Settings(), ground, steps=(steps,), **SIZE).cells
    assert cell.tv.low <= cell.predicted <= cell.tv.high
    assert cell.off.low < 0.01 and cell.off.high < SIZE["tolerance"]


def test_ordering_by_the_drawn_words_probability_is_about_as_far_off_as_independent_words(ground):
    certificate = certify(Confidence(), Confidence.Settings(confidence_of="drawn"), ground, steps=(64,), **SIZE)
    (cell,) = certificate.cells
    assert cell.forwards == LENGTH, "one word a step"
    assert cell.tv.low > 0.9 * certificate.independent
    assert cell.entropy < 0.5 * certificate.entropy, "it collapses to the likely texts"


def test_the_bias_of_the_drawn_order_is_the_one_computed_by_hand():
    # Two independent words, likely with 0.9. The first decided word is the unlikely one only if both draws are.
    one = torch.ones(1, dtype=torch.float64)
    coins = Ground("coins", HMM(one, one[None], torch.tensor([[0.9, 0.1]], dtype=torch.float64)), 2)
    settings = Confidence.Settings(steps=64, ignore_eos=True, confidence_of="drawn")
    seen, _ = write_texts(Confidence(), settings, coins, 16_000)
    likely_first, unlikely_first = 0.99, 0.01
    mixed = likely_first * 0.1 + unlikely_first * 0.9
    share = torch.bincount(seen, minlength=4)[:4] / 16_000
    by_hand = torch.tensor([likely_first * 0.9, mixed, unlikely_first * 0.1])
    torch.testing.assert_close(torch.stack([share[0], share[1] + share[2], share[3]]), by_hand, atol=0.01, rtol=0)
    assert total_variation(seen, coins.truth).low > 0.06, "0.081 by hand"


@pytest.mark.parametrize("name", certifiable())
def test_many_texts_at_once_are_those_of_generate(ground, name):
    sampler, vocabulary = SAMPLERS.get(name)(), ground.world.vocabulary
    given = {"steps": 4} if "steps" in sampler.Settings.model_fields else {}
    settings = sampler.Settings(seed=3, ignore_eos=True, **given)
    seen, forwards = write_texts(sampler, settings, ground, 40, first=7)
    requests = [fill_request([], LENGTH, vocabulary, settings, index=7 + i) for i in range(40)]
    samples = generate(ground.world, sampler, requests, vocabulary)
    words = torch.tensor([s.written for s in samples]) - ground.world.first
    assert torch.equal((words * ground.world.words ** torch.arange(LENGTH - 1, -1, -1)).sum(1), seen)
    assert forwards == pytest.approx(sum(s.forwards for s in samples) / 40)


def test_a_promise_about_the_limit_is_not_judged_at_few_steps_and_few_texts_decide_nothing(ground):
    drawn = Confidence.Settings(confidence_of="drawn")
    assert certify(Confidence(), Settings(), ground, steps=(1, 2), samples=500).verdict.startswith(
        "undecided: more steps"
    )
    few = certify(Autoregressive(), Settings(), ground, samples=500)
    assert few.verdict == "undecided: more samples" and not few.failed
    with pytest.raises(Error, match="does not use confidence_of"):
        certify(Ancestral(), drawn, ground)


def test_exact_texts_are_within_the_tolerance_of_the_truth_and_independent_words_are_not(ground):
    texts = ground.world.sample(SIZE["samples"], LENGTH, seed=1)
    control = total_variation((texts * ground.world.words ** torch.arange(LENGTH - 1, -1, -1)).sum(1), ground.truth)
    assert control.low < 0.01 and control.high < SIZE["tolerance"] < 0.2 < ground.from_truth(ground.reverse.law(1))


def test_the_noise_floor_is_the_mean_estimate_of_exact_texts():
    generator = torch.Generator().manual_seed(2)
    p = (2 * torch.randn(40, generator=generator, dtype=torch.float64)).softmax(-1)
    for n in (7, 300):
        seen = [total_variation(torch.multinomial(p, n, True, generator=generator), p).value for _ in range(400)]
        error = torch.tensor(seen).std() / 20
        assert abs(sum(seen) / 400 - noise_floor(p, n)) < 4 * error


def test_the_band_holds_the_true_distance():
    generator = torch.Generator().manual_seed(0)
    p, other = torch.randn(2, 60, generator=generator, dtype=torch.float64).softmax(-1)
    for share in (0.0, 0.1, 0.6):
        q = (1 - share) * p + share * other
        true = float((q - p).abs().sum()) / 2
        bands = [total_variation(torch.multinomial(q, 400, True, generator=generator), p) for _ in range(200)]
        assert sum(band.low <= true for band in bands) >= 0.975 * 200
        assert sum(true <= band.high for band in bands) >= 0.975 * 200
        assert share < 0.5 or sum(band.low > 0 for band in bands) > 0.9 * 200, "a large distance is seen"


def test_a_band_at_a_low_level_misses_as_often_as_it_may():
    # On two texts the plug-in does not lean, so the lower limit is as sharp as the binomial one.
    generator = torch.Generator().manual_seed(1)
    p, q = torch.tensor([[0.5, 0.5], [0.8, 0.2]], dtype=torch.float64)
    low = [total_variation(torch.multinomial(q, 400, True, generator=generator), p, 0.5).low for _ in range(500)]
    missed = sum(x > 0.3 for x in low) / 500
    assert 0.15 < missed < 0.25 + 4 * math.sqrt(0.25 * 0.75 / 500)


def test_the_binomial_limit_is_the_rate_at_which_so_many_hits_are_rare():
    for hits, n in ((1, 1), (3, 10), (10, 10), (40, 300)):
        rate = binomial_lower(hits, n, 0.025)
        tail = sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(hits, n + 1))
        assert tail == pytest.approx(0.025, rel=1e-6)
    assert binomial_lower(0, 10, 0.025) == 0


def test_the_documented_table_is_the_recorded_one_and_has_every_sampler():
    recorded = json.loads((ROOT / "benchmarks" / "results" / "certify.json").read_text())
    page = (ROOT / "docs" / "studies" / "certify.md").read_text()
    assert {c["sampler"] for c in recorded["certificates"]} == set(certifiable()), (
        "run: unmask certify (see CONTRIBUTING)"
    )
    for c in recorded["certificates"]:
        values = {cell["steps"]: f"{cell['tv']['value']:.3f}" for cell in c["cells"]}
        cells = [values.get(steps, values.get(None)) for steps in STEPS]
        assert f"| {c['name']} | {c['promise']} | {' | '.join(cells)} |" in page
        assert not c["failed"] and f"| {c['verdict']} |" in page
