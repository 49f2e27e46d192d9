"""The uniform process: its bound is the entropy of a known source, beliefs join what is shown, prompts are told."""

import math
from dataclasses import replace

import pytest
import torch

from guards.parts import IDS, VOCABULARY, make_batch
from unmask.certificates.uniform_law import RedrawnProcess
from unmask.certificates.worlds import HMM, all_texts
from unmask.diffusion.options import UniformOptions
from unmask.diffusion.state import Prediction, State
from unmask.diffusion.uniform import Uniform, Words, clean_given_shown, unexplained
from unmask.errors import Error
from unmask.sampling.request import Vocabulary

WORLD = HMM.random(words=3, seed=0)
LENGTH = 2


def every_state(words: Words):
    """Return the numbers of the words of every state of a text, its tokens, and its asked positions."""
    held = all_texts(words.count, LENGTH)
    tokens = torch.cat([torch.full_like(held[:, :1], WORLD.vocabulary.bos), words.ids[held]], 1)
    at = torch.ones_like(tokens, dtype=torch.bool)
    at[:, 0] = False
    return held, tokens, at


@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_the_bound_of_a_perfect_network_is_the_entropy_and_of_any_other_above_it(temperature):
    words = Words(WORLD.vocabulary)
    held, tokens, at = every_state(words)
    texts = WORLD.all_texts(LENGTH)
    truth = WORLD.nats(texts)
    clean = words.number(WORLD.tokens(texts)[:, 1:])
    points, bound = 200, LENGTH * math.log(words.count)
    for point in range(points):  # r = u^2, all states of noise enumerated
        u = (point + 0.5) / points
        level = at * torch.tensor(u * u, dtype=torch.float64)
        logits = WORLD(State(tokens, level=level), at=at).logits.double() / temperature
        beliefs = words.beliefs(logits)
        same = held[None] == clean[:, None]
        chance = torch.where(same, 1 - u * u + u * u / words.count, u * u / words.count).prod(-1)
        for row, nats in enumerate(truth):
            missed = unexplained(beliefs, held.flatten(), clean[row].repeat(len(held)), level[at])
            bound += float((-nats).exp() * (chance[row] * missed.view(len(held), LENGTH).sum(1)).sum()) * 2 * u / points
    entropy = float(((-truth).exp() * truth).sum())
    if temperature == 1:
        assert bound == pytest.approx(entropy, abs=2e-4)
    else:
        assert bound > entropy + 0.02


def test_beliefs_from_elsewhere_and_the_word_shown_here_make_the_posterior():
    words = Words(WORLD.vocabulary)
    held, tokens, at = every_state(words)
    r = torch.tensor(0.4, dtype=torch.float64)
    logits = WORLD(State(tokens, level=at * r), at=at).logits.double()
    found = clean_given_shown(words.beliefs(logits), held.flatten(), (at * r)[at]).exp()
    texts = WORLD.all_texts(LENGTH)
    clean = words.number(WORLD.tokens(texts)[:, 1:])
    kernel = torch.where(held[:, None] == clean[None], 1 - r + r / words.count, r / words.count).prod(-1)
    joint = kernel * (-WORLD.nats(texts)).exp()  # state, text
    posterior = torch.zeros(len(held), LENGTH, words.count, dtype=torch.float64)
    for place in range(LENGTH):
        posterior[:, place].index_add_(1, clean[:, place], joint)
    posterior /= joint.sum(1)[:, None, None]
    torch.testing.assert_close(found.view_as(posterior), posterior)


def test_what_is_given_is_shown_as_it_is_told_to_be_and_not_asked():
    process = Uniform(UniformOptions(given=0.5), VOCABULARY)
    clean = make_batch(4000, 12)
    made = process.corrupt(clean, seed=0)
    given = clean.predictable & (made.weights == 0)
    assert torch.equal(made.state.tokens[given], clean.tokens[given])
    assert not made.state.level[given].any() and (made.state.level[made.weights > 0] > 0).all()
    told = given.any(1)
    assert 0.4 < float(told.float().mean()) < 0.5  # half of the rows, and a few whose share gives nothing
    heads = told & (given[:, 1:].long().diff(dim=1) <= 0).all(1)
    assert 0.2 < float(heads.float().mean()) < 0.35, "half of them give a beginning"
    assert torch.allclose(made.state.t.double(), made.state.level.double().sum(1) / 11, atol=1e-6)
    assert process.asked_share == pytest.approx(
        float((made.weights > 0).float().sum() / clean.predictable.sum()), abs=0.02
    )


@pytest.mark.parametrize("weighting", ["ce", "elbo"])
def test_the_loss_is_least_for_the_perfect_network(weighting):
    process = Uniform(UniformOptions(weighting=weighting, given=0.0), WORLD.vocabulary)
    clean = WORLD.batch(WORLD.sample(4000, 6))

    def loss(temperature):
        def network(state, at=None):
            return Prediction(WORLD(state, at=at).logits.clamp(min=-40) / temperature)

        return float(process.loss(network, clean, seed=0)["loss"])

    assert loss(1.0) < min(loss(1.4), loss(0.7)) - 0.01


def test_a_vocabulary_of_unknown_size_and_a_network_that_is_not_told_are_refused():
    with pytest.raises(Error, match="give its size"):
        Uniform(UniformOptions(), Vocabulary())
    from unmask.models.config import TransformerConfig

    with pytest.raises(Error, match="time_input=true"):
        Uniform(UniformOptions(), VOCABULARY).check(TransformerConfig(vocab_size=IDS))


def test_corrections_leave_the_noised_truth_as_it_is_and_bring_the_reverse_process_nearer():
    process = RedrawnProcess(WORLD, 3)
    truth = (-WORLD.nats(WORLD.all_texts(3))).exp()
    words = Words(WORLD.vocabulary)
    clean = words.number(WORLD.tokens(WORLD.all_texts(3))[:, 1:])
    held = all_texts(words.count, 3)
    s = 0.3
    noised = (
        truth[:, None] * torch.where(clean[:, None] == held, 1 - s + s / words.count, s / words.count).prod(-1)
    ).sum(0)
    alone = process._noised(s, s)
    for place in range(3):
        torch.testing.assert_close(process._drawn_anew(noised, alone, place), noised)
    off = {(n, c): float((process.law(n, c) - truth).abs().sum()) / 2 for n, c in ((1, 0), (8, 0), (8, 2), (64, 0))}
    assert off[8, 2] < off[8, 0] < off[1, 0] and off[64, 0] < 0.02


def test_a_state_moves_with_its_levels():
    state = State(torch.ones(3, 4, dtype=torch.int64), level=torch.rand(3, 4))
    assert torch.equal(state.rows(torch.tensor([2])).level, state.level[2:])
    assert replace(state, level=None).level is None and state.to("cpu").level is not None
