"""Where a part of a text is learned, the rest is given: never hidden, asked or scored; and padding is not seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guards.parts import IDS, VOCABULARY, make_process
from unmask.data.batch import Batch
from unmask.diffusion.state import Prediction

PROCESSES = [("causal", {}), ("masked", {}), ("masked", {"weighting": "elbo"}), ("block", {"block_size": 4})]
cases = pytest.mark.parametrize(("name", "options"), PROCESSES)
PROMPT = slice(1, 6)


def talks(seed=0, padding=0):
    """Two documents of a prompt of five words and a response that ends."""
    draw = torch.Generator().manual_seed(seed)
    words = torch.randint(4, IDS, (2, 6), generator=draw)
    prompt = torch.randint(4, IDS, (2, 5), generator=torch.Generator().manual_seed(7))
    bos, eos = torch.full((2, 1), VOCABULARY.bos), torch.full((2, 1), VOCABULARY.eos)
    tokens = torch.cat([bos, prompt, words, eos, torch.full((2, padding), VOCABULARY.pad)], 1)
    there = torch.arange(tokens.shape[1]) < 13
    learned = (torch.arange(tokens.shape[1]) > 5) & there
    return Batch(
        tokens, there.long().expand(2, -1), torch.arange(2), VOCABULARY.bos, None, learned.expand(2, -1), share=7 / 12
    )


class Fixed:
    """A network whose answers depend on the place alone."""

    def __init__(self):
        self.table = torch.randn(64, IDS, generator=torch.Generator().manual_seed(1), requires_grad=True)

    def __call__(self, state, at=None):
        places = torch.arange(state.tokens.shape[1]).expand(state.tokens.shape)
        clean = None if state.clean_at is None else self.table[places[state.clean_at]]
        return Prediction(self.table[places[at]], clean=clean)


@cases
def test_words_of_a_prompt_are_no_targets_of_loss_gradient_and_likelihood(name, options):
    process, batch = make_process(name, **options), talks()
    tokens = batch.tokens.clone()
    tokens[:, PROMPT] = 4 + (tokens[:, PROMPT] - 3) % (IDS - 4)
    other = replace(batch, tokens=tokens)
    assert not torch.equal(other.tokens, batch.tokens)
    found = []
    for each in (batch, other):
        model = Fixed()
        loss = process.loss(model, each, seed=0)["loss"]
        loss.backward()
        found.append((loss.detach(), model.table.grad, process.likelihood(model, each, draws=3).nats.detach()))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))
    assert float(found[0][0]) > 0
    full = process.loss(Fixed(), replace(batch, supervised=None, share=1.0), seed=0)["loss"]
    assert not torch.equal(full.detach(), found[0][0])


@cases
def test_a_prompt_is_shown_as_it_is_and_nothing_but_the_response_is_asked(name, options):
    process, batch = make_process(name, **options), talks()
    for seed in range(8):
        corrupted = process.corrupt(batch, seed)
        assert torch.equal(corrupted.state.tokens[:, :6], batch.tokens[:, :6])
        assert not (corrupted.weights[:, :6] > 0).any()
        if corrupted.state.clean_at is not None:
            assert not corrupted.state.clean_at[:, :6].any() and corrupted.state.clean_at.any()


@cases
def test_padding_changes_no_nats(tiny, name, options):
    process, model = make_process(name, **options), tiny()
    with torch.no_grad():
        short, long = (process.likelihood(model, talks(padding=pad), draws=3, seed=1).nats for pad in (0, 7))
    torch.testing.assert_close(short, long, atol=1e-4, rtol=1e-5)


def test_the_loss_of_a_uniform_model_is_a_mean_over_what_is_learned():
    class Uniform(Fixed):
        def __init__(self):
            self.table = torch.zeros(64, IDS, requires_grad=True)

    loss = make_process("causal").loss(Uniform(), talks(), seed=0)["loss"]
    assert float(loss.detach()) == pytest.approx(torch.tensor(float(IDS - 1)).log().item(), rel=1e-6)
