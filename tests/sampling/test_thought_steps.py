"""A thought starts as noise, becomes clear along with the words, and is carried to the passages that follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guards.parts import make_process, network
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.models.latent import Hidden
from unmask.sampling import SAMPLERS, Settings, Vocabulary, drives, fill_request, generate, rows, stack, ticks
from unmask.sampling.passages import cut
from unmask.sampling.thought_steps import fresh

VOCABULARY = Vocabulary()
OPTIONS = ThoughtOptions(shape=(2, 3, 4), passage=8, latent=0.5)
DRIVERS = [name for name in SAMPLERS if drives(SAMPLERS.facts(name), PROCESSES.get("masked"))]


@pytest.fixture(params=["transformer", "eco"])
def model(request):
    return network(request.param, thought=OPTIONS.model_dump(mode="json"))


def requests(name="confidence", length=6, count=3, **settings):
    given = {"steps": 5} if "steps" in SAMPLERS.facts(name).model_fields else {}
    return [
        fill_request([7], length, VOCABULARY, SAMPLERS.facts(name)(**given, ignore_eos=True, **settings), index=i)
        for i in range(count)
    ]


@pytest.mark.parametrize("name", DRIVERS)
def test_a_text_and_its_thought_do_not_depend_on_batch_mates(model, name):
    sampler = SAMPLERS.get(name)()
    together = generate(model, sampler, requests(name, 20), VOCABULARY)
    for number, request in enumerate(requests(name, 20)):
        assert generate(model, sampler, [request], VOCABULARY)[0].tokens == together[number].tokens


@pytest.mark.parametrize("name", DRIVERS)
def test_the_thought_starts_as_noise_and_ends_clear(model, name):
    moments = list(ticks(model, SAMPLERS.get(name)(), requests(name), VOCABULARY))
    levels = [tick.state.thought.level for tick in moments if tick.state.thought is not None and len(tick.which) == 3]
    assert all(bool((b <= a).all()) for a, b in zip(levels, levels[1:], strict=False))
    last = moments[-1].state
    done = last.done
    assert float(last.thought.level[done].max()) == 0.0
    torch.testing.assert_close(last.thought.cells[done], last.thought.believed[done])
    assert moments[-1].frame.thought is last.thought.believed


def test_left_to_right_a_text_has_its_thought_too():
    plain = OPTIONS.model_copy(update={"latent": 0.0}).model_dump(mode="json")
    model = network("transformer", thought=plain)
    given = [fill_request([7], 20, VOCABULARY, Settings(ignore_eos=True), index=i) for i in range(2)]
    together = generate(model, SAMPLERS.get("autoregressive")(), given, VOCABULARY)
    assert generate(model, SAMPLERS.get("autoregressive")(), given[1:], VOCABULARY)[0].tokens == together[1].tokens
    last = list(
        ticks(model, SAMPLERS.get("autoregressive")(), [replace(given[0], tokens=given[0].tokens[:6])], VOCABULARY)
    )
    assert float(last[-1].state.thought.level.max()) == 0.0


def test_rows_that_join_between_steps_go_on_as_they_would_alone(model):
    sampler = SAMPLERS.get("confidence")()
    first, second = (sampler.start([request], VOCABULARY) for request in requests(count=2))
    alone = []
    for state in (first, second):
        while not bool(state.done.all()):
            state, _ = sampler.step(model, state)
        alone.append(state)
    first, _ = sampler.step(model, first)
    both = stack([first, second])
    while not bool(both.done.all()):
        both, _ = sampler.step(model, both)
    for row, state in enumerate(alone):
        assert torch.equal(rows(both, [row]).tokens, state.tokens)
        torch.testing.assert_close(rows(both, [row]).thought.cells, state.thought.cells, atol=1e-4, rtol=1e-4)
        mine, own = (part.notes.get(Hidden).states for part in (rows(both, [row]), state))
        torch.testing.assert_close(mine, own, atol=1e-4, rtol=1e-4)


def test_another_thought_is_another_text_and_the_same_thought_the_same(model):

    request = requests(count=1)[0]
    noises = [fresh(OPTIONS, torch.tensor([key])) for key in (1, 1, 2)]
    texts = [
        generate(model, SAMPLERS.get("ancestral")(), [replace(request, thought=noise)], VOCABULARY)[0]
        for noise in noises
    ]
    assert texts[0] == texts[1]
    assert texts[0].confidence != texts[2].confidence


def test_a_later_passage_is_written_with_the_thoughts_of_those_before_it(model):
    sampler = SAMPLERS.get("confidence")()
    long = requests(length=30, count=1)
    text = generate(model, sampler, long, VOCABULARY)[0]
    assert len(text.tokens) == 32
    assert VOCABULARY.mask not in text.tokens
    assert text.tokens[1] == 7
    assert text.tokens.count(VOCABULARY.bos) == 1
    other = [r for r in requests(length=30, count=1)]
    changed = other[0].tokens[:1] + (9,) + other[0].tokens[2:]

    again = generate(model, sampler, [replace(other[0], tokens=changed)], VOCABULARY)[0]
    assert again.tokens[OPTIONS.passage :] != text.tokens[OPTIONS.passage :]


def test_passages_are_those_of_training():
    assert cut((1, 5, 6, 7, 8), 3, 1) == [(1, 5, 6), (1, 7, 8)]
    assert cut((1, 5), 3, 1) == [(1, 5)]


def test_a_live_canvas_of_several_passages_is_refused(model):
    with pytest.raises(Error, match="does not fit into a passage of 8"):
        next(ticks(model, SAMPLERS.get("confidence")(), requests(length=30), VOCABULARY))


def test_a_model_with_passages_and_no_thought_writes_long_texts_too():
    plain = network("transformer", thought=ThoughtOptions(passage=8).model_dump(mode="json"))
    assert make_process("masked").visibility == "bidirectional"
    assert len(generate(plain, SAMPLERS.get("ancestral")(), requests("ancestral", 20), VOCABULARY)[0].tokens) == 22
