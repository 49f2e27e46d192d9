"""What each sampler promises beyond the common contract."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from unmask.data.batch import Batch
from unmask.diffusion.likelihood import duel_nats, masked_bound
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.sampling import (
    Ancestral,
    Autoregressive,
    Confidence,
    Request,
    Settings,
    Vocabulary,
    canvas,
    fill_request,
    generate,
    ticks,
)

VOCABULARY = Vocabulary()
FIRST = 4  # the oracle's words are 4, 5, 6


class Oracle:
    """Knows the joint distribution of short texts and answers with its exact conditionals."""

    def __init__(self, length: int = 4, words: int = 3, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.texts = torch.tensor(list(product(range(words), repeat=length)))
        # A sticky chain: neighbours mostly agree, so drawing them independently is plainly wrong.
        agree = (self.texts[:, 1:] == self.texts[:, :-1]).sum(1)
        weight = torch.rand(len(self.texts), generator=generator, dtype=torch.float64) * 3.0**agree
        self.joint = weight / weight.sum()
        self.words, self.length, self.known = words, length, {}

    def __call__(self, state, at=None):
        logits = []
        for row, column in at.nonzero().tolist():
            seen = state.tokens[row, 1:] - FIRST
            known = seen >= 0
            key = (tuple(seen.tolist()), column)
            if key not in self.known:
                fits = (self.texts[:, known] == seen[known]).all(1)
                p = torch.zeros(FIRST + self.words, dtype=torch.float64)
                p.index_add_(0, self.texts[fits, column - 1] + FIRST, self.joint[fits])
                self.known[key] = p.log()
            logits.append(self.known[key])
        return Prediction(torch.stack(logits) if logits else torch.zeros(0, FIRST + self.words))

    def distance(self, samples) -> float:
        """Total variation between the samples' texts and the joint distribution."""
        number = [sum((t - FIRST) * self.words**i for i, t in enumerate(reversed(s.written))) for s in samples]
        seen = torch.bincount(torch.tensor(number), minlength=len(self.joint)) / len(number)
        return float((seen - self.joint).abs().sum() / 2)


def oracle_samples(sampler, oracle, n, **settings):
    request = fill_request([], oracle.length, VOCABULARY, sampler.Settings(**settings))
    return generate(oracle, sampler, [replace(request, index=i) for i in range(n)], VOCABULARY, batch_size=n)


def test_ancestral_sampling_converges_to_the_true_joint_distribution_with_steps():
    # 2,000 samples of 81 texts: a perfect sampler is about 0.07 away.
    distances = [
        oracle.distance(oracle_samples(Ancestral(), oracle, 2000, steps=n)) for n in (1, 4, 64) if (oracle := Oracle())
    ]
    assert distances[0] > distances[1] + 0.05 > distances[2] + 0.1
    assert distances[2] < 0.1


def test_one_word_a_step_in_the_models_own_order_is_exact():
    oracle = Oracle(seed=3)
    samples = oracle_samples(Confidence(), oracle, 2000, steps=8, confidence_of="peak")
    assert oracle.distance(samples) < 0.1


def test_the_duel_likelihood_is_the_probability_with_which_the_sampler_writes_a_text(model):
    class Words:
        def __call__(self, state, at=None):
            logits = model(state, at=at).logits.clone()
            logits[:, [VOCABULARY.pad, VOCABULARY.bos, VOCABULARY.eos]] = -1e9
            return Prediction(logits)

    settings = Confidence.Settings(steps=8, confidence_of="peak")
    requests = [fill_request([], 8, VOCABULARY, settings, index=i) for i in range(5)]
    samples = generate(Words(), Confidence(), requests, VOCABULARY)
    tokens = torch.tensor([s.tokens for s in samples])
    batch = Batch(tokens, torch.ones_like(tokens), torch.arange(5), VOCABULARY.bos)
    written = -torch.tensor([s.confidence for s in samples], dtype=torch.float64).log().sum(1)
    with torch.no_grad():
        assert torch.allclose(duel_nats(Words(), batch, None, None, VOCABULARY.mask), written, atol=1e-3)


def test_ancestral_decides_positions_at_even_times():
    oracle = Oracle(length=4)
    decided = torch.zeros(8)
    requests = [Request((1, 3, 3, 3, 3), Ancestral.Settings(steps=8), i) for i in range(400)]
    for tick in ticks(oracle, Ancestral(), requests, VOCABULARY, batch_size=400):
        if int(tick.frame.step[0]):
            decided[int(tick.frame.step[0]) - 1] += tick.frame.changed.sum()
    assert torch.allclose(decided / 1600, torch.full((8,), 1 / 8), atol=0.03)


def test_ancestral_asks_the_network_only_when_something_is_decided_and_writes_the_same_text(model, tiny):
    for network in (model, tiny(time_input=True)):
        requests = [fill_request([5] * i, 10, VOCABULARY, Ancestral.Settings(steps=40, seed=i)) for i in range(4)]
        asked = generate(network, Ancestral(), requests, VOCABULARY)
        always = generate(network, Ancestral(skip=False), requests, VOCABULARY)
        assert [s.tokens for s in asked] == [s.tokens for s in always]
        for few, many in zip(asked, always, strict=True):
            assert few.forwards <= 10 < many.forwards == many.steps


def test_the_cache_changes_nothing_but_the_time(model):
    requests = [fill_request([5] * i, 20 + i, VOCABULARY, Settings(seed=i)) for i in range(1, 6)]
    cached = generate(model, Autoregressive(), requests, VOCABULARY, batch_size=3)
    plain = generate(model, Autoregressive(use_cache=False), requests, VOCABULARY, batch_size=3)
    assert [s.tokens for s in cached] == [s.tokens for s in plain]
    assert any(s.ended for s in cached) or max(len(s.written) for s in cached) > 20


def test_a_network_that_keeps_nothing_is_shown_the_whole_text_and_writes_the_same(model):
    def keeps_nothing(state, at=None):
        return model(state, at=at)

    requests = [fill_request([5] * i, 9 + i, VOCABULARY, Settings(seed=i)) for i in range(1, 5)]
    texts = [
        [sample.tokens for sample in generate(network, Autoregressive(), requests, VOCABULARY, batch_size=3)]
        for network in (model, keeps_nothing)
    ]
    assert texts[0] == texts[1]


def test_the_stated_noise_level_falls_from_that_of_the_hole(model):
    class Spy:
        levels = []

        def __call__(self, state, at=None):
            self.levels.append(state.t.max().item())
            return model(state, at=at)

    for sampler in (Ancestral(), Confidence()):
        Spy.levels = []
        request = fill_request([5, 6], 12, VOCABULARY, sampler.Settings(steps=6, ignore_eos=True), suffix=[8])
        generate(Spy(), sampler, [request], VOCABULARY)
        assert Spy.levels[0] <= 12 / 15 + 1e-6 and Spy.levels == sorted(Spy.levels, reverse=True)


def test_confidence_reveals_by_its_schedule_surest_first(model):
    from unmask.diffusion.state import State

    for reveal, left in (("cosine", [9, 7, 3, 0]), ("linear", [7, 5, 2, 0])):
        settings = Confidence.Settings(steps=4, reveal=reveal, temperature=0.0, ignore_eos=True, confidence_of="peak")
        counts, before = [], None
        for tick in ticks(model, Confidence(), [fill_request([5], 10, VOCABULARY, settings)], VOCABULARY):
            if before is not None:
                counts.append(int(tick.state.open.sum()))
                logits = model(State(before.tokens), at=before.open).logits.clone()
                logits[:, [0, 1, 2, 3]] = -torch.inf
                peak = torch.zeros(before.open.shape).masked_scatter(before.open, logits.softmax(-1).amax(-1))
                kept, other = tick.frame.changed, before.open & ~tick.frame.changed
                assert not bool(other.any()) or peak[kept].min() >= peak[other].max()
            before = tick.state
        assert counts == left


def test_confidence_stop_fills_everything_once_all_is_sure():
    class Sure:
        def __call__(self, state, at=None):
            logits = torch.zeros(int(at.sum()), 9)
            logits[:, 5] = 8.0 if bool((state.tokens[0, 2:] != VOCABULARY.mask).any()) else 1.0
            return Prediction(logits)

    request = fill_request([5], 20, VOCABULARY, Confidence.Settings(steps=20, confidence_stop=0.9))
    (sample,) = generate(Sure(), Confidence(), [request], VOCABULARY)
    assert len(sample.written) == 20 and sample.steps == 2
    never = replace(request, settings=Confidence.Settings(steps=20))
    assert generate(Sure(), Confidence(), [never], VOCABULARY)[0].steps > 10


def test_more_steps_than_words_ends_when_all_is_written(model):
    request = fill_request([5], 6, VOCABULARY, Ancestral.Settings(steps=1000, ignore_eos=True))
    assert generate(model, Confidence(), [request], VOCABULARY)[0].steps == 6


def test_confidence_noise_reorders_and_temperature_end_cools(model):
    request = fill_request([5], 12, VOCABULARY, Confidence.Settings(steps=12, temperature=0.0))
    calm = generate(model, Confidence(), [request], VOCABULARY)
    noisy = replace(request, settings=request.settings.but(confidence_noise=50.0))
    assert generate(model, Confidence(), [noisy], VOCABULARY)[0].tokens != calm[0].tokens
    cold = replace(request, settings=request.settings.but(temperature=1e-4, temperature_end=0.0))
    assert generate(model, Confidence(), [cold], VOCABULARY)[0].tokens == calm[0].tokens


def test_no_end_of_text_before_given_words():
    class Ends:
        def __call__(self, state, at=None):
            logits = torch.zeros(int(at.sum()), 9)
            logits[:, VOCABULARY.eos] = 40.0
            return Prediction(logits)

    tokens, _ = canvas([[5], [6], [7]], [3, 3], VOCABULARY)
    for sampler in (Ancestral(), Confidence()):
        (sample,) = generate(Ends(), sampler, [Request(tokens)], VOCABULARY)
        assert len(sample.tokens) == len(tokens) and VOCABULARY.eos not in sample.tokens


def test_lead_positions_begin_with_a_space(model):
    spaced = torch.zeros(24, dtype=torch.bool)
    spaced[[11, 13, 17]] = True
    vocabulary = Vocabulary(spaced=spaced)
    tokens, lead = canvas([[5], [6]], [4], vocabulary, lead=[0])
    for sampler in (Ancestral(), Confidence()):
        for index in range(5):
            (sample,) = generate(model, sampler, [Request(tokens, lead=lead, index=index)], vocabulary)
            assert sample.tokens[2] in (11, 13, 17)
    with pytest.raises(Error, match="spaced"):
        Ancestral().start([Request(tokens, lead=lead)], VOCABULARY)


def test_a_suffix_is_refused_by_the_autoregressive_sampler():
    with pytest.raises(Error, match="suffix"):
        Autoregressive().start([fill_request([5], 4, VOCABULARY, suffix=[6])], VOCABULARY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("temperature_end", -0.1),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("reveal", "square"),
        ("confidence_noise", -1.0),
        ("confidence_stop", 1.5),
        ("confidence_of", "logit"),
        ("seed", 2**70),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(name, value):
    with pytest.raises(Error, match=f"^{name} is"):
        Confidence.Settings(**{name: value})


def test_canvases_that_cannot_work_are_refused():
    with pytest.raises(Error, match="at least 1"):
        fill_request([5], 0, VOCABULARY)
    with pytest.raises(Error, match="pieces"):
        canvas([[5]], [1, 2], VOCABULARY)
    with pytest.raises(Error, match="BOS"):
        Ancestral().start([Request((5, 3))], VOCABULARY)
    with pytest.raises(Error, match="at least one request"):
        Ancestral().start([], VOCABULARY)


def test_a_uniform_model_is_sampled_uniformly_and_its_bound_is_the_entropy():
    class Uniform:
        def __call__(self, state, at=None):
            return Prediction(torch.zeros(int(at.sum()), 14))

    requests = [fill_request([], 8, VOCABULARY, Settings(ignore_eos=True), index=i) for i in range(300)]
    for sampler in (Ancestral(), Confidence()):
        samples = generate(Uniform(), sampler, requests, VOCABULARY, batch_size=300)
        tokens = torch.tensor([s.tokens for s in samples])
        share = torch.bincount(tokens[:, 1:].flatten(), minlength=14)[4:] / tokens[:, 1:].numel()
        assert (share - 0.1).abs().max() < 0.03
    batch = Batch(tokens, torch.ones_like(tokens), torch.arange(300), VOCABULARY.bos)
    nats = masked_bound(Uniform(), batch, None, None, VOCABULARY.mask, 2, 0)
    assert torch.allclose(nats, torch.full_like(nats, 8 * float(torch.tensor(13.0).log())), atol=1e-4)
