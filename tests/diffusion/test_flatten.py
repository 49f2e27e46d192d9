"""The original sparse process keeps its facts: what is in view, what a loss counts, and what each repair mends."""

import math
from dataclasses import replace

import pytest
import torch

from guards.parts import IDS, make_batch, network
from unmask.certificates.worlds import HMM
from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.flatten import Flatten, FlattenOptions
from unmask.diffusion.process import PROCESSES
from unmask.errors import Error
from unmask.models.config import TransformerConfig

MASK = 3
REPAIRED = {"positions": "real", "replaced": True, "loss_at": "replaced"}


def flatten(**options) -> Flatten:
    return Flatten(FlattenOptions(**{"candidates": 4, **options}), Vocabulary(size=IDS))


def many(rows=400, length=12) -> Batch:
    return make_batch(rows, length, ragged=True)


def test_the_truth_is_among_the_candidates_at_every_noise_and_no_token_is_exchanged():
    batch = many()
    state = flatten().corrupt(batch, 0).state
    at = batch.predictable
    assert torch.equal(state.candidates.tokens[..., 0][at], batch.tokens[at])
    assert bool((state.tokens[at] == MASK).all()) and bool((state.candidates.mass[~at] == 0).all())


def test_probabilities_flatten_to_one_in_v_as_the_cosine_of_time():
    state = flatten().corrupt(many(), 0).state
    n = 1 - torch.cos(math.pi * state.t / 2)
    for row in range(0, 400, 37):
        mass = state.candidates.mass[row][many().predictable[row]]
        expected = (1 - n[row]) * torch.tensor([0.97, 0.01, 0.01, 0.01]) + n[row] / IDS
        torch.testing.assert_close(mass, expected.float().expand_as(mass), atol=1e-6, rtol=1e-5)
    assert float(n.max()) > 0.95 and float(n.min()) < 0.05


def test_the_noise_on_embeddings_grows_with_time_and_belongs_to_the_example():
    process, batch = flatten(jitter=0.5), many(8)
    state = process.corrupt(batch, 0).state
    jitter = state.candidates.jitter
    torch.testing.assert_close(jitter.level, (0.5 * (1 - torch.cos(math.pi * state.t / 2))).float())
    model = network("transformer", **process.options.network())
    plain = flatten(jitter=0).corrupt(batch, 0).state
    with torch.no_grad():
        shaken, again, still = (model(s).logits for s in (state, process.corrupt(batch, 0).state, plain))
        alone = model(state.rows(torch.tensor([2]))).logits.view(1, 12, -1)
    assert torch.equal(shaken, again) and not torch.allclose(shaken, still)
    valid = batch.segments[2] > 0
    torch.testing.assert_close(alone[0][valid], shaken.view(8, 12, -1)[2][valid], atol=1e-4, rtol=1e-4)


def test_replaced_positions_lose_the_truth_with_the_rate_of_the_noise_and_alone_are_scored():
    batch = many(2000)
    corrupted = flatten(**REPAIRED).corrupt(batch, 0)
    gone, at = corrupted.weights > 0, batch.predictable
    n = 1 - torch.cos(math.pi * corrupted.state.t / 2)
    expected = float((n[:, None] * at).sum() / at.sum())
    assert float(gone.sum() / at.sum()) == pytest.approx(expected, abs=0.01)
    hit = (corrupted.state.candidates.tokens[gone] == batch.tokens[gone][:, None]).float().mean()
    assert float(hit) == pytest.approx(1 / IDS, abs=0.01), "a replaced position says nothing of its truth"
    assert torch.allclose(corrupted.state.candidates.mass[gone], torch.tensor(1 / IDS))
    other = Batch(torch.where(gone, (batch.tokens + 1) % IDS, batch.tokens), batch.segments, batch.order, batch.bos)
    again = flatten(**REPAIRED).corrupt(other, 0).state.candidates
    assert torch.equal(again.tokens, corrupted.state.candidates.tokens)


def test_the_bound_of_a_copying_network_is_that_of_guessing():
    """It copies the likeliest candidate: nearly always right in the original's training, and worthless."""

    class Copies:
        def __call__(self, state, at=None):
            best = state.candidates.tokens.gather(-1, state.candidates.mass.argmax(-1, keepdim=True))[..., 0]
            logits = torch.full((*state.tokens.shape, IDS), 0.0).scatter(-1, best[..., None], 5.0)
            from unmask.diffusion.state import Prediction

            return Prediction(logits[at])

    batch = many(100)
    loss = float(flatten(jitter=0).loss(Copies(), batch, 0)["loss"])
    nats = flatten(jitter=0).likelihood(Copies(), batch, draws=4).nats.sum() / batch.predictable.sum()
    assert loss < 1.0 < math.log(IDS) < float(nats)


def test_the_bound_holds_where_the_truth_is_known():
    """A perfect denoiser of what is decided scores the source's own entropy, whatever the random candidates say."""
    world = HMM.random()
    words = world.sample(4000, 6)
    size = world.first + 3

    class Perfect:
        def __call__(self, state, at=None):
            known = state.candidates.mass[..., 0] > 1.5 / size  # replaced ones have 1/V
            tokens = torch.where(known, state.candidates.tokens[..., 0], state.tokens)
            return world(replace(state, tokens=tokens), at=at)

    process = Flatten(FlattenOptions(candidates=3, **REPAIRED), replace(world.vocabulary, size=size))
    found = process.likelihood(Perfect(), world.batch(words), draws=6)
    excess = found.nats - world.nats(words)
    assert found.bound == "upper bound"
    assert abs(float(excess.mean())) < 4 * float(excess.std()) / 4000**0.5 + 1e-3


def test_the_bound_shows_states_of_training_at_the_time_that_they_have_in_training():
    """The share that is replaced is n(t) of the time that the network is told, in the bound as in training."""
    seen = []

    class Looks:
        def __call__(self, state, at=None):
            from unmask.diffusion.state import Prediction

            seen.append((state, at))
            return Prediction(torch.zeros(int(at.sum()), IDS))

    batch = make_batch(50, 12)
    flatten(**REPAIRED).likelihood(Looks(), batch, draws=4)
    for state, at in seen:
        share = at.sum(1) / batch.predictable.sum(1)
        torch.testing.assert_close((1 - torch.cos(math.pi * state.t / 2)).float(), share, atol=1e-5, rtol=1e-5)


def test_lost_positions_are_lost_and_real_ones_are_not():
    batch = make_batch(2, 10)
    swapped = batch.tokens[:, [0, 1, 2, 3, 4, 8, 6, 7, 5, 9]]
    other = Batch(swapped, batch.segments, batch.order, batch.bos)
    for places, same in (("lost", True), ("real", False), ("flattened", False)):
        process = flatten(positions=places, jitter=0)
        model = network("transformer", **process.options.network())
        noise = torch.ones(2, dtype=torch.float64) * 0.3
        with torch.no_grad():
            states = [process.corrupt(b, 0).state for b in (batch, other)]
            shown = [s.candidates.tokens.clone() for s in states]
            for t in shown:
                t[..., 1:] = 7
            a, b = (
                model(replace(s, t=noise, candidates=replace(s.candidates, tokens=t))).logits.view(2, 10, -1)[:, 1]
                for s, t in zip(states, shown, strict=True)
            )
        assert torch.allclose(a, b, atol=1e-4) is same, places


def test_options_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="needs replaced"):
        FlattenOptions(loss_at="replaced")
    process = flatten(positions="lost")
    config = TransformerConfig(**{**process.options.network(), "candidate_places": "real"})
    with pytest.raises(Error, match="leave the second out"):
        process.check(config)
    with pytest.raises(Error, match="takes candidates"):
        process.check(TransformerConfig())
    assert PROCESSES.get("sparse_flatten") is Flatten
