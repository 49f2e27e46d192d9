"""Texts join and leave a batch between steps, and each is the one that it is alone."""

from dataclasses import fields, replace

import pytest
import torch

from guards.parts import VOCABULARY, any_settings, make_requests, network
from guards.samplers import coming_and_going
from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Batch, fill_request, generate
from unmask.sampling.categorical import NotFinite
from unmask.sampling.drafters import Drawn
from unmask.sampling.loop import collect
from unmask.sampling.repair import Repair
from unmask.sampling.speculative import Speculative
from unmask.sampling.spent import Ledger
from unmask.sampling.thought_steps import fresh
from unmask.sampling.verifier_settings import RepairSettings


def same(found, alone):
    """Whether two samples are equal but for the last bits of confidences."""
    for each in fields(found):
        one, other = getattr(found, each.name), getattr(alone, each.name)
        assert one == (pytest.approx(other, abs=1e-5) if each.name in ("confidence", "sure") else other), each.name


def alone(model, sampler, requests):
    return [generate(model, sampler, [request], VOCABULARY)[0] for request in requests]


def test_all_that_is_told_of_a_text_is_what_is_told_of_it_alone(model, sampler, requests_for):
    requests = [replace(one, settings=any_settings(sampler, n)) for n, one in enumerate(requests_for(5))]
    for found, one in zip(coming_and_going(model, sampler, requests), alone(model, sampler, requests), strict=True):
        same(found, one)


@pytest.mark.parametrize("sees", ["causal", "block", "bidirectional"])
def test_drafts_of_another_network_join_and_leave(tiny, sees):
    sampler = Speculative(Drawn(tiny(seed=1), sees))
    requests = make_requests(sampler, 4)
    for found, one in zip(coming_and_going(tiny(), sampler, requests), alone(tiny(), sampler, requests), strict=True):
        same(found, one)


@pytest.mark.parametrize("name", ["ancestral", "remasking", "block"])
def test_texts_that_are_repaired_join_and_leave(tiny, name):
    writer = SAMPLERS.get(name)()
    sampler = Repair(writer, tiny(seed=1), RepairSettings(span=3, suspect=0.6, unlikely=0.0, rounds=2))
    suited = [replace(r, settings=any_settings(writer, n)) for n, r in enumerate(make_requests(writer, 4))]
    for found, one in zip(coming_and_going(tiny(), sampler, suited), alone(tiny(), sampler, suited), strict=True):
        same(found, one)


@pytest.mark.parametrize(
    "name, given",
    [("autoregressive", {}), ("autoregressive", {"beyond": "sinks"}), ("confidence", {"steps": 4}), ("block", {})],
)
def test_texts_join_others_that_are_in_their_second_window(tiny, name, given):
    model, sampler = tiny(context=16), SAMPLERS.get(name)()
    settings = sampler.Settings(ignore_eos=True, **given)
    requests = [fill_request((5, 6), 4 + 12 * (n % 3), VOCABULARY, settings.but(seed=n), index=n) for n in range(4)]
    for found, one in zip(coming_and_going(model, sampler, requests), alone(model, sampler, requests), strict=True):
        same(found, one)


def test_a_batch_is_as_wide_as_its_longest_text_and_no_wider(tiny):
    batch = Batch(tiny(), SAMPLERS.get("autoregressive")(), VOCABULARY)
    batch.join({0: fill_request((5,), 40, VOCABULARY), 1: fill_request((5,), 6, VOCABULARY)})
    assert batch.step().window.cache.capacity == 42
    batch.leave([0])
    told = batch.step()
    assert told.window.tokens.shape[1] == told.window.cache.capacity == 8
    assert told.which == batch.numbers == (1,)


def test_nothing_is_copied_where_nobody_comes_or_goes(tiny):
    batch = Batch(tiny(), SAMPLERS.get("autoregressive")(), VOCABULARY)
    batch.join({n: fill_request((5,), 9, VOCABULARY) for n in range(3)})
    stored = {batch.step().window.cache.keys.data_ptr() for _ in range(4)}
    assert len(stored) == 1


class Poisoned:
    """A network that has no finite answer to texts whose first word is 21."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, state, at=None, **given):
        answer = self.model(state, at=at, **given)
        bad = (state.tokens[:, 1] == 21)[at.nonzero()[:, 0]]
        return replace(answer, logits=torch.where(bad[:, None], torch.nan, answer.logits))


def test_a_step_that_fails_for_one_text_is_taken_without_it(model, sampler, requests_for):
    requests = requests_for(4, ignore_eos=True) if "ignore_eos" in sampler.Settings.model_fields else requests_for(4)
    bad = replace(requests[1], tokens=(1, 21, *requests[1].tokens[2:]))
    keeps = {"use_cache": False} if "use_cache" in {f.name for f in fields(sampler)} else {}
    sampler, model = replace(sampler, **keeps), Poisoned(model)
    texts = {0: requests[0], 2: requests[2], 3: requests[3]}
    batch, found = Batch(model, sampler, VOCABULARY), {}
    batch.join(texts | {1: bad})
    with pytest.raises(NotFinite):
        while True:
            batch.step()
    faults = batch.faults()
    assert list(faults) == [1] and isinstance(faults[1], NotFinite)
    batch.leave(faults)
    while batch.numbers:
        collect(batch.step(), found)
    expected = alone(model, sampler, list(texts.values()))
    assert [found[n].tokens for n in texts] == [one.tokens for one in expected]


@pytest.mark.parametrize("name", ["autoregressive", "confidence", "uniform"])
def test_vectors_that_are_not_finite_reach_the_text_that_they_were_given_to_and_no_other(name):
    sampler = SAMPLERS.get(name)()
    model = network("transformer" if name == "autoregressive" else "eco", memory_width=6, time_input=True)
    requests = make_requests(sampler, 4)
    bad = replace(requests[1], memory=torch.full((3, 6), torch.nan))
    batch = Batch(model, sampler, VOCABULARY)
    batch.join({1: bad, **{n: replace(requests[n], memory=torch.ones(n, 6)) for n in (2, 3)}})
    with pytest.raises(NotFinite):
        batch.step()
    assert list(batch.faults()) == [1]


def test_a_text_that_rests_goes_on_where_it_was(model, sampler, requests_for):
    requests = requests_for(3)
    batch, found = Batch(model, sampler, VOCABULARY), {}
    batch.join(dict(enumerate(requests)))
    batch.step()
    resting = batch.take(1) if 1 in batch.numbers else None
    for _ in range(2):
        if batch.numbers:
            collect(batch.step(), found)
    assert resting is None or 1 not in found
    if resting is not None:
        batch.put(resting)
    while batch.numbers:
        collect(batch.step(), found)
    for number, one in enumerate(alone(model, sampler, requests)):
        if number in found:
            same(found[number], one)
    assert resting is None or 1 in found


def test_vectors_that_the_run_does_not_take_are_refused_before_they_share_a_batch(tiny):
    sampler = SAMPLERS.get("autoregressive")()
    plain = fill_request((5,), 6, VOCABULARY)
    with pytest.raises(Error, match="this run takes none"):
        Batch(tiny(), sampler, VOCABULARY).check([replace(plain, memory=torch.ones(2, 6))])
    thought = fresh(ThoughtOptions(shape=(2, 3, 4)), torch.tensor([1]))
    with pytest.raises(
        Error, match="a thought of 6 cells of 4 numbers is given, with 4 before it, and this run takes none"
    ):
        Batch(tiny(), sampler, VOCABULARY).check([replace(plain, thought=thought)])
    model = network("transformer", memory_width=4)
    with pytest.raises(Error, match="takes such of 4"):
        Batch(model, sampler, VOCABULARY).check([replace(plain, memory=torch.ones(2, 6))])


def test_what_texts_cost_is_counted_of_frames_that_have_one_text_each(tiny):
    sampler = SAMPLERS.get("confidence")()
    requests = make_requests(sampler, 2)
    batches, ledger, told = [], Ledger(), {}
    for number, request in enumerate(requests):
        batches.append(Batch(tiny(), sampler, VOCABULARY))
        ledger.add((number,), batches[number].join({number: request}).frame)
    while any(batch.numbers for batch in batches):
        for number, batch in enumerate(batches):
            if batch.numbers:
                told[number] = (tick := batch.step()), ledger.add((number,), tick.frame)
    for tick, spent in told.values():
        assert torch.equal(tick.spent.decided, spent.decided) and torch.equal(tick.spent.looks, spent.looks)


def test_an_empty_batch_has_no_step(tiny):
    with pytest.raises(Error, match="let one join"):
        Batch(tiny(), SAMPLERS.get("autoregressive")(), VOCABULARY).step()


def test_who_comes_with_a_prompt_pads_nobody_to_it(tiny):
    model, shapes = tiny(), []

    class Sized(Poisoned):
        def __call__(self, state, at=None, **given):
            shapes.append(tuple(state.tokens.shape))
            return self.model(state, at=at, **given)

    batch = Batch(Sized(model), SAMPLERS.get("autoregressive")(), VOCABULARY)
    batch.join({n: fill_request((5,), 20, VOCABULARY) for n in range(3)})
    for _ in range(2):
        batch.step()
    batch.join({3: fill_request(range(4, 20), 5, VOCABULARY)})
    batch.step()
    assert shapes == [(3, 2), (3, 1), (1, 17), (3, 1)]
