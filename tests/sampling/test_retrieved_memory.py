"""Retrieved memory on sampler states: it reaches the network at every step, and stays with its row."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guards.parts import IDS, network
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Vocabulary, generate, rows, split, stack

VOCABULARY = Vocabulary(size=IDS)
WIDTH = 6
NAMES = [name for name in SAMPLERS if name not in ("flatten", "block")]  # models of process block take no memory
every_sampler = pytest.mark.parametrize("sampler", NAMES, indirect=True)


@pytest.fixture
def sampler(request):
    return SAMPLERS.get(request.param)()


@pytest.fixture
def model(sampler):
    return network("transformer" if sampler.Settings.visibility == "causal" else "eco", memory_width=WIDTH)


def remembering(requests):
    """Give requests memories of 0, 1, 2, ... vectors."""
    generator = torch.Generator().manual_seed(3)
    return [
        replace(one, memory=torch.randn(place, WIDTH, generator=generator) * 3 if place else None)
        for place, one in enumerate(requests)
    ]


class Watched:
    """A network that remembers the memories it was shown."""

    def __init__(self, model):
        self.model, self.config, self.shown = model, model.config, []

    def __call__(self, state, **more):
        self.shown.append(state.memory)
        return self.model(state, **more)

    def __getattr__(self, name):
        return getattr(self.model, name)


@every_sampler
def test_every_step_sees_the_memory_of_the_request(sampler, model, requests_for):
    watched = Watched(model)
    asked = remembering(requests_for(3))[2:]
    generate(watched, sampler, asked, VOCABULARY)
    assert watched.shown and all(
        torch.equal(memory.vectors[0], asked[0].memory) and bool(memory.valid.all()) for memory in watched.shown
    )


@every_sampler
def test_a_text_with_memory_does_not_depend_on_its_batch_mates(sampler, model, requests_for):
    requests = remembering(requests_for(5))
    together = [s.tokens for s in generate(model, sampler, requests, VOCABULARY, batch_size=5)]
    assert together == [generate(model, sampler, [r], VOCABULARY)[0].tokens for r in requests]
    plain = [s.tokens for s in generate(model, sampler, requests_for(5), VOCABULARY)]
    assert together[0] == plain[0]  # no memory: the text of a run without
    assert sum(a != b for a, b in zip(together[1:], plain[1:], strict=True)) >= 2  # and a memory is read


@every_sampler
def test_states_with_memories_stack_and_split(sampler, model, requests_for):
    state = sampler.start(remembering(requests_for(4)), VOCABULARY)
    state, _ = sampler.step(model, state)
    assert state.memory.vectors.shape == (4, 3, WIDTH) and state.memory.valid.sum(1).tolist() == [0, 1, 2, 3]
    again = stack(split(state))
    assert torch.equal(again.memory.vectors, state.memory.vectors)
    assert torch.equal(again.memory.valid, state.memory.valid)
    turned = rows(state, [3, 1])
    assert torch.equal(turned.memory.vectors, state.memory.vectors[[3, 1]])
    few, none = sampler.start(remembering(requests_for(2)), VOCABULARY), sampler.start(requests_for(1), VOCABULARY)
    joined = stack([few, none, turned])
    assert joined.memory.valid.sum(1).tolist() == [0, 1, 0, 3, 1] and none.memory is None


@every_sampler
def test_memories_of_two_indexes_do_not_share_a_batch(sampler, requests_for):
    one, two = requests_for(2)
    states = [sampler.start([replace(r, memory=torch.ones(2, w))], VOCABULARY) for r, w in ((one, 4), (two, 6))]
    with pytest.raises(Error, match="one index"):
        stack(states)
