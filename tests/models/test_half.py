"""A network that answers in bfloat16 is the same network: nearly its logits, in float32, and the first one stays."""

import copy

import pytest
import torch

from tests.guards.parts import network, visibilities
from unmask.diffusion.state import State
from unmask.models.backbones import BACKBONES
from unmask.models.half import halved
from unmask.sampling import SAMPLERS, Vocabulary, fill_request, generate


@torch.no_grad()
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_logits_are_float32_and_as_near_as_those_of_training(backbone):
    model = network(backbone)
    half, before = halved(model), copy.deepcopy(model.state_dict())
    tokens = torch.randint(5, 12, (3, 16))
    tokens[:, 0] = 1
    for visibility in visibilities(backbone):
        state = State(tokens, visibility, t=torch.ones(3))
        exact, near = model(state).logits, half(state).logits
        with torch.autocast("cpu", torch.bfloat16):
            trained = model(state).logits
        off, usual = ((one.float().softmax(-1) - exact.softmax(-1)).abs().mean() for one in (near, trained))
        assert near.dtype == torch.float32 and 0 < off < 1.2 * usual
        assert not torch.equal(near, near.bfloat16().float()), "rounded to bfloat16, tokens would tie"
    after = model.state_dict()
    assert all(torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in before.items())
    assert half.embed.weight is model.embed.weight


@pytest.mark.parametrize("name", ["autoregressive", "confidence", "block"])
def test_a_text_in_bf16_is_drawn_as_ever_and_knows_no_batch_mates(name):
    half = halved(network("transformer"))
    words = Vocabulary(size=half.config.vocab_size)
    settings = SAMPLERS.facts(name)(seed=3)
    requests = [fill_request([5] * n, 10, words, settings, index=n) for n in range(4)]
    texts = [
        [one.tokens for one in generate(half, SAMPLERS.get(name)(), requests, words, batch_size=n)] for n in (1, 4)
    ]
    assert texts[0] == texts[1]
    assert all(words.mask not in text for text in texts[0])


def test_what_a_half_network_keeps_of_a_text_takes_half_the_room():
    model = network("transformer")
    assert halved(model).new_cache(1, 8).keys.dtype == torch.bfloat16
    assert model.new_cache(1, 8).keys.dtype == torch.float32
