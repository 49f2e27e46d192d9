import itertools
import math

import pytest
import torch

from oracles import Tempered
from unmask.certificates.worlds import HMM
from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.likelihood import token_nats
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.schedules import get_schedule
from unmask.diffusion.state import State
from unmask.diffusion.times import spread

MASK = 3


def make(mask_id: int = MASK, **options) -> Masked:
    return Masked(MaskedOptions(**options), Vocabulary(mask=mask_id))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "polynomial:2"])
@pytest.mark.parametrize("times", ["uniform", "bell"])
def test_the_share_of_hidden_tokens_is_the_schedules(batch, schedule, times):
    process = make(schedule=schedule, times=times)
    clean = batch(4000, 33)
    hidden = process.corrupt(clean, seed=3).state.tokens == MASK
    t = process.times.draw(spread(3, clean.order))
    rate = get_schedule(schedule)(t)
    share = hidden[:, 1:].double().mean(1)
    for low in (0.0, 0.25, 0.5, 0.75):
        rows = (t >= low) & (t < low + 0.25)
        error = float((rate * (1 - rate))[rows].sum() / 32) ** 0.5 / int(rows.sum())
        assert abs(float((share - rate)[rows].mean())) < 4 * error  # four standard errors
    assert share.mean() == pytest.approx(process.expected_rate(1.0), abs=0.005)


def test_every_position_is_hidden_equally_often(batch):
    hidden = make().corrupt(batch(8000, 17), seed=0).state.tokens[:, 1:] == MASK
    assert (hidden.double().mean(0) - 0.5).abs().max() < 4 * 0.5 / math.sqrt(8000)


def test_clean_tokens_are_carried_over_and_only_hidden_ones_are_asked(batch, spy):
    process, clean, network = make(), batch(32, ragged=True), spy()
    process.loss(network, clean, seed=0)
    ((state, at),) = network.calls
    assert torch.equal(at, state.tokens == MASK)
    assert torch.equal(state.tokens[~at], clean.tokens[~at])
    assert (at <= clean.predictable).all()


def test_the_network_is_told_the_actual_noise_level(batch, spy):
    process, clean, network = make(schedule="cosine"), batch(32, ragged=True), spy()
    process.loss(network, clean, seed=0)
    process.likelihood(network, clean, draws=4)
    process.duel(network, clean, per_step=3)
    for state, at in network.calls:
        torch.testing.assert_close(state.t.float(), at.sum(1) / clean.predictable.sum(1))


def test_plain_cross_entropy_is_the_mean_nats_of_a_hidden_token(batch, spy):
    clean = batch(4096, 17)
    for options in ({}, {"schedule": "cosine"}, {"times": "bell"}, {"curriculum_start": 0.3, "curriculum_span": 1.0}):
        for progress in (0.0, 1.0):
            loss = make(**options).loss(spy(), clean, seed=0, progress=progress)["loss"].detach()
            assert float(loss) == pytest.approx(math.log(22), rel=0.02)


def test_the_curriculum_raises_the_largest_t_and_the_warm_start_is_left_to_right(batch):
    process = make(curriculum_start=0.2, curriculum_span=0.5, causal_warmup=0.2)
    assert [process.upper(p) for p in (0.2, 0.4, 0.6, 1.0)] == pytest.approx([0.2, 0.6, 1.0, 1.0])
    assert [process.warming(p) for p in (0.0, 0.19, 0.2, 1.0)] == [True, True, False, False]
    assert make().upper(0.0) == 1.0 and not make().warming(0.0)
    clean = batch(512, 33)
    assert process.corrupt(clean, 0, 0.1).state.visibility == "causal"
    start = process.corrupt(clean, 0, 0.2).state
    assert start.visibility == "bidirectional"
    share = (start.tokens == MASK)[:, 1:].double().mean(1)
    assert float(share.mean()) == pytest.approx(0.1, abs=0.02)  # half of the largest t
    assert float(share.max()) < 0.2 + 4 * math.sqrt(0.2 * 0.8 / 32)
    assert float((process.corrupt(clean, 0, 1.0).state.tokens == MASK).double().mean()) == pytest.approx(0.5, abs=0.03)


def test_the_warm_start_is_the_causal_process(batch, tiny):
    process, model, clean = make(causal_warmup=0.5), tiny(), batch(ragged=True)
    assert torch.equal(process.loss(model, clean, 0, 0.1)["loss"], process.warm.loss(model, clean, 0, 0.1)["loss"])


def exact_bound(denoiser: Tempered, words: torch.Tensor) -> float:
    """The masked bound on one text in nats, by all subsets: mean over k of n/k times the mean over k-subsets."""
    n = len(words)
    total = 0.0
    for k in range(1, n + 1):
        subsets = list(itertools.combinations(range(n), k))
        hidden = torch.zeros(len(subsets), n + 1, dtype=torch.bool)
        for row, subset in enumerate(subsets):
            hidden[row, [p + 1 for p in subset]] = True
        clean = denoiser.world.batch(words.expand(len(subsets), -1))
        logits = denoiser(State(clean.tokens.masked_fill(hidden, MASK)), at=hidden).logits
        nats = -logits.log_softmax(-1).gather(1, clean.tokens[hidden][:, None])
        total += float(nats.sum()) / len(subsets) / k
    return total


@pytest.mark.parametrize("schedule", ["linear", "cosine", "polynomial:2"])
@pytest.mark.parametrize("times", ["uniform", "bell"])
def test_the_weighted_training_loss_estimates_the_same_bound_for_all_schedules_and_times(schedule, times):
    denoiser = Tempered(HMM.random(), 1.7)  # an imperfect denoiser: its bound depends on which tokens are hidden
    words = torch.tensor([0, 2, 1, 1, 0])
    process = make(schedule=schedule, times=times, weighting="elbo")
    rows, losses = 2000, []
    for repeat in range(20):
        clean = denoiser.world.batch(words.expand(rows, -1))
        clean = Batch(clean.tokens, clean.segments, clean.order + repeat * rows, clean.bos)
        losses.append(float(process.loss(denoiser, clean, seed=repeat)["loss"]) * len(words))
    losses = torch.tensor(losses, dtype=torch.float64)
    error = float(losses.std()) / math.sqrt(len(losses))
    truth = exact_bound(denoiser, words)
    assert error < 0.015 * truth
    assert abs(float(losses.mean()) - truth) < 4 * error  # four standard errors


def test_token_nats_are_float32_whatever_the_network_computes_in():
    logits = torch.randn(4, 50).bfloat16()
    assert token_nats(logits, torch.arange(4)).dtype == torch.float32
