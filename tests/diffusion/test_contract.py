"""What every registered process promises besides the guards, with each of its option sets."""

from dataclasses import replace

import pytest
import torch

from guards.guard import Watched, laid, part
from guards.parts import CASES, make_process, over
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.process import PROCESSES
from unmask.errors import Error

MASK = 3
every_case = over("name, options", CASES)


@pytest.fixture
def process(name, options):
    return make_process(name, **options)


@pytest.fixture
def fitting(process, tiny):
    """Return a maker of networks that can learn the process."""
    return lambda **sizes: tiny(**process.options.network(), **sizes)


@every_case
def test_bos_and_padding_are_never_targets_and_targets_are_the_clean_tokens(process, batch):
    clean = laid(process, batch(64, ragged=True))
    corrupted = process.corrupt(clean, seed=0)
    assert torch.equal(corrupted.targets, clean.tokens)
    assert corrupted.weights[~clean.predictable].count_nonzero() == 0
    assert (corrupted.weights >= 0).all()
    shown = corrupted.state.tokens
    unknown = (shown == MASK) & ~clean.valid & (process.visibility == "block")  # behind a text that was cut off
    assert ((shown == clean.tokens) | unknown)[~clean.predictable].all()


@every_case
@pytest.mark.parametrize("progress", [0.05, 0.9])
def test_the_loss_of_a_batch_is_the_mean_over_its_parts(process, fitting, batch, progress):
    model, clean = fitting(), batch(8, ragged=True)
    whole = process.loss(model, clean, seed=0, progress=progress)["loss"]
    halves = [process.loss(model, part(clean, slice(i, i + 4)), seed=0, progress=progress)["loss"] for i in (0, 4)]
    torch.testing.assert_close(whole, sum(halves) / 2)


@every_case
def test_a_batch_with_nothing_to_ask_costs_as_many_calls_and_has_a_gradient(process, fitting, batch):
    model, clean = fitting(), batch(4)
    empty = replace(clean, tokens=torch.full_like(clean.tokens, clean.bos))
    calls = []
    for some in (clean, empty):
        watched = Watched(model)
        loss = process.loss(watched, some, seed=0)["loss"]
        calls.append(len(watched.calls))
    loss.backward()
    assert calls[0] == calls[1] and float(loss.detach()) == 0.0
    assert process.likelihood(model, empty, draws=2).nats.count_nonzero() == 0


@every_case
def test_the_mask_is_never_predicted(process, fitting, batch):
    model = fitting(tie_word_embeddings=False)
    clean = batch(ragged=True)
    plain = process.loss(model, clean, seed=0)["loss"], process.likelihood(model, clean, draws=2).nats
    with torch.no_grad():
        model.head.weight[MASK] = 50 * model.head.weight[5]  # a network that would bet all on the mask, or nothing
    shouting = process.loss(model, clean, seed=0)["loss"], process.likelihood(model, clean, draws=2).nats
    assert torch.equal(plain[0], shouting[0]) and torch.equal(plain[1], shouting[1])
    shouting[0].backward()
    assert model.head.weight.grad[MASK].abs().sum() == 0
    assert model.head.weight.grad.isfinite().all()


@every_case
def test_the_likelihood_says_what_it_is(process, fitting, batch):
    clean = batch(ragged=True)
    likelihood = process.likelihood(fitting(), clean, draws=3, seed=0)
    assert likelihood.bound in ("exact", "upper bound") or likelihood.bound.startswith("exact for ")
    assert likelihood.draws % 3 == 0 if likelihood.bound == "upper bound" else likelihood.draws == 1
    assert likelihood.nats.shape == (8,) and likelihood.nats.dtype == torch.float64
    assert (likelihood.nats > 0).all()


@every_case
def test_unknown_options_are_refused(process):
    with pytest.raises(ValueError, match="no_such_option"):
        process.Options(no_such_option=1)


def test_a_causal_network_that_sees_its_answer_is_refused(tiny):
    # Without a shift, the causal state holds the asked token where its logits are made.
    options = PROCESSES.get("causal").Options()
    with pytest.raises(Error, match="output_shift"):
        PROCESSES.get("causal")(options, Vocabulary()).check(tiny(output_shift=0).config)
    warm = PROCESSES.get("masked").Options(causal_warmup=0.1)
    with pytest.raises(Error, match="output_shift"):
        PROCESSES.get("masked")(warm, Vocabulary()).check(tiny(output_shift=0).config)
