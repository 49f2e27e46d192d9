"""Calibrated confidence decides the order, the stop and what callers get; what is drawn stays the network's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guards.parts import REORDERS, VOCABULARY, make_requests, network
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Confidence, fill_request, generate
from unmask.sampling.block import Blocks
from unmask.sampling.calibrated import Answer, Calibration, noise_level, worth
from unmask.sampling.doubt import allowed

EDGES = (0.0, 0.5, 1.0)
STEPS = {"x": [[0.1, 0.3, 0.9], [0.2, 0.8]], "y": [[0.2, 0.2, 0.7], [0.1, 0.6]]}
PLATT = Calibration("platt", EDGES, {"a": (0.5, 2.0), "b": (0.3, -1.0)})
RISING = [PLATT, Calibration("isotonic", EDGES, STEPS), Calibration("none", EDGES)]
SURE = Calibration("platt", EDGES, {"a": (0.01, 0.01), "b": (30.0, 30.0)})


def masked(calibration, **sizes):
    model = network("transformer", seed=3, **sizes)
    model.calibration = calibration
    return model


def written(model, sampler=Confidence, **settings):
    asked = make_requests(sampler(), 6, **settings)
    return generate(model, sampler(), asked, VOCABULARY)


@pytest.mark.parametrize("calibration", RISING, ids=lambda one: one.method)
@pytest.mark.parametrize("steps", [1, 4, 9])
def test_a_map_that_rises_leaves_every_text_as_it_was(calibration, steps):
    raw, told = (written(masked(calibration), steps=steps, calibrated=flag) for flag in (False, True))
    assert [one.tokens for one in raw] == [one.tokens for one in told]
    if calibration.method != "none":
        assert [one.confidence for one in raw] != [one.confidence for one in told]


def test_a_map_that_reorders_writes_other_texts_and_calls_as_often():
    raw, told = (written(masked(REORDERS), steps=4, calibrated=flag) for flag in (False, True))
    assert [one.tokens for one in raw] != [one.tokens for one in told]
    assert [one.forwards for one in raw] == [one.forwards for one in told]


def test_an_isotonic_map_parts_equals_by_the_networks_own_confidence():
    flat = Calibration("isotonic", (0.0, 1.0), {"x": [[0.1, 0.9]], "y": [[0.5, 0.5]]})
    peak = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    told = flat(_seen(peak))
    assert bool((told.diff() > 0).all()) and bool(((told - 0.5).abs() < 1e-5).all())


def _seen(peak, level=0.7, logits=None, states=None):
    level = torch.full_like(peak, level)
    return Answer(level, peak, states, logits, None, None)


def test_maps_are_what_their_equations_say():
    peak = torch.tensor([0.3, 0.8], dtype=torch.float64)
    torch.testing.assert_close(PLATT(_seen(peak)), (2.0 * peak.logit() - 1.0).sigmoid())
    torch.testing.assert_close(PLATT(_seen(peak, 0.5)), (0.5 * peak.logit() + 0.3).sigmoid())
    logits = torch.tensor([[1.0, 0.0, -torch.inf], [2.0, 2.0, 0.0]])
    expected = (logits.double() / 0.5).softmax(-1).amax(-1)
    torch.testing.assert_close(REORDERS(_seen(logits.softmax(-1).amax(-1).double(), 0.7, logits)), expected)
    head = {"mean": torch.zeros(5), "scale": torch.ones(5), "into": torch.zeros(5, 2), "into_bias": torch.ones(2)}
    head |= {"out": torch.ones(2, 1), "out_bias": torch.tensor([0.5])}
    bent = 0.5 + 2 * float(torch.nn.functional.gelu(torch.ones(1)))
    seen = _seen(peak, 0.7, logits, torch.zeros(2, 2))
    torch.testing.assert_close(replace(PLATT, method="head", head=head)(seen), (2 * peak.logit() - 1 + bent).sigmoid())


def test_words_share_what_the_most_probable_one_leaves_and_none_has_more():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    peak = torch.full_like(p, 0.5)
    told = worth(p, peak, torch.full_like(p, 0.7))
    torch.testing.assert_close(told, torch.tensor([0.7, 0.18, 0.12], dtype=torch.float64))
    assert float(worth(p, peak, torch.full_like(p, 0.2)).amax()) == pytest.approx(0.2)


def test_the_greedy_word_is_told_with_its_calibrated_confidence():
    model = masked(PLATT)
    (one,) = generate(model, Confidence(), [_asked(temperature=0.0, steps=1)], VOCABULARY)
    tokens = torch.tensor([[VOCABULARY.bos, *[VOCABULARY.mask] * 5]])
    at = tokens == VOCABULARY.mask
    state = Confidence().start([_asked(steps=1)], VOCABULARY)
    logits = allowed(state, at, model(State(tokens), at=at).logits)
    expected = (2.0 * logits.double().softmax(-1).amax(-1).logit() - 1.0).sigmoid()
    torch.testing.assert_close(torch.tensor(one.sure), expected.float(), atol=1e-5, rtol=1e-4)


def _asked(count=5, **settings):
    return fill_request([], count, VOCABULARY, Confidence.Settings(calibrated=True, ignore_eos=True, **settings))


def test_the_stop_compares_the_calibrated_confidence():
    raw = _asked(confidence_stop=0.99, steps=5).settings.but(calibrated=False)
    stopped = [_asked(confidence_stop=0.99, steps=5), replace(_asked(), settings=raw)]
    assert [one.forwards for one in generate(masked(SURE), Confidence(), stopped, VOCABULARY)] == [1, 5]


def test_rows_that_do_not_ask_are_what_they_are_alone():
    model = masked(REORDERS)
    mixed = [replace(_asked(steps=3), index=i) for i in range(4)]
    mixed[1::2] = [replace(one, settings=one.settings.but(calibrated=False)) for one in mixed[1::2]]
    together = generate(model, Confidence(), mixed, VOCABULARY)
    for one, alone in zip(together[1::2], mixed[1::2], strict=True):
        (own,) = generate(masked(None), Confidence(), [alone], VOCABULARY)
        assert one.tokens == own.tokens and one.sure == pytest.approx(own.sure, rel=1e-5)


@pytest.mark.parametrize("name", ["confidence", "block"])
def test_a_network_without_calibration_is_refused_with_the_command_that_makes_one(name):
    sampler = SAMPLERS.get(name)()
    more = {"rule": "confidence"} if name == "block" else {}
    asked = fill_request([], 5, VOCABULARY, sampler.Settings(calibrated=True, **more))
    model = masked(None, output_shift=1)
    with pytest.raises(Error, match="unmask calibrate RUN"):
        generate(model, sampler, [asked], VOCABULARY)


def test_the_noise_level_of_a_block_is_the_share_of_it_that_shows_the_mask():
    levels = []

    def listen(answer):
        levels.append(noise_level(answer.state).tolist())
        return answer.peak

    settings = Blocks.Settings(rule="confidence", steps=4, reveal="linear", block_size=4, calibrated=True)
    asked = [fill_request([5] * given, 8 - given, VOCABULARY, settings.but(ignore_eos=True)) for given in (0, 2)]
    generate(masked(listen, output_shift=1), Blocks(), asked, VOCABULARY)
    assert levels[0] == [1.0, 0.5] and max(max(each) for each in levels[4:]) == 1.0 and levels[-1][0] == 0.25
