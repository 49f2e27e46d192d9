"""The promises that every registered process keeps, with each of its option sets."""

from dataclasses import replace

import pytest
import torch

from unmask.data.batch import Batch
from unmask.diffusion import causal, masked  # noqa: F401  (registers)
from unmask.diffusion.process import PROCESSES
from unmask.errors import Error
from unmask.models.config import TransformerConfig

MASK = 3
MORE = {
    "masked": [
        {"weighting": "elbo"},
        {"schedule": "cosine", "times": "bell"},
        {"curriculum_start": 0.3, "causal_warmup": 0.2},
        {"weighting": "elbo", "times": "bell", "schedule": "polynomial:2"},
    ]
}
CASES = [(name, options) for name in PROCESSES for options in [{}, {"isolate_documents": False}, *MORE.get(name, [])]]


def build(case):
    name, options = case
    kind = PROCESSES.get(name)
    return kind(kind.Options(**options), MASK)


def accepted(case, shift: int) -> bool:
    try:
        build(case).check(TransformerConfig(output_shift=shift))
    except Error:
        return False
    return True


def label(value) -> str:
    return "-".join([value[0], *map(str, value[1].values())]) if isinstance(value, tuple) else f"shift{value}"


every_case = pytest.mark.parametrize("case", CASES, ids=label)
every_network = pytest.mark.parametrize(
    ("case", "shift"), [(case, shift) for case in CASES for shift in (0, 1) if accepted(case, shift)], ids=label
)


@pytest.fixture
def process(case):
    return build(case)


@pytest.fixture
def model(shift, tiny):
    return tiny(output_shift=shift)


def part(batch: Batch, rows) -> Batch:
    return Batch(batch.tokens[rows], batch.segments[rows], batch.order[rows], batch.bos)


@every_network
@pytest.mark.parametrize("progress", [0.0, 1.0])
@torch.no_grad()
def test_hidden_truth_never_reaches_logits(process, model, batch, progress):
    clean = batch(4, 10, ragged=True)
    corrupted = process.corrupt(clean, seed=1, progress=progress)
    asked = corrupted.weights > 0
    assert asked.any()
    before = model(corrupted.state).logits.view(*asked.shape, -1)
    for row, column in asked.nonzero().tolist():
        other = clean.tokens.clone()
        other[row, column] = 4 + (other[row, column] + 3) % 19
        again = process.corrupt(replace(clean, tokens=other), seed=1, progress=progress)
        assert torch.equal(again.weights, corrupted.weights)
        after = model(again.state).logits.view(*asked.shape, -1)
        assert torch.equal(before[row, column], after[row, column])


@every_case
def test_bos_and_padding_are_never_targets_and_targets_are_the_clean_tokens(process, batch):
    clean = batch(64, ragged=True)
    corrupted = process.corrupt(clean, seed=0)
    assert torch.equal(corrupted.targets, clean.tokens)
    assert corrupted.weights[~clean.predictable].count_nonzero() == 0
    assert (corrupted.weights >= 0).all()
    untouched = corrupted.state.tokens[~clean.predictable] == clean.tokens[~clean.predictable]
    assert untouched.all()


@every_network
def test_every_parameter_learns(process, model, batch):
    process.loss(model, batch(16, ragged=True), seed=0, progress=1.0)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        assert parameter.grad.isfinite().all(), name


@every_network
def test_the_same_seed_gives_the_same_loss_and_likelihood(process, model, batch):
    clean = batch(ragged=True)
    losses = [process.loss(model, clean, seed=4, progress=0.9)["loss"] for _ in range(2)]
    assert torch.equal(*losses)
    nats = [process.likelihood(model, clean, draws=2, seed=4).nats for _ in range(2)]
    assert torch.equal(*nats)


@every_network
@torch.no_grad()
def test_rows_do_not_depend_on_their_batch_mates(process, model, batch):
    clean = batch(6, ragged=True)
    for rows in (slice(0, 1), slice(2, 5)):
        some = part(clean, rows)
        whole, alone = process.corrupt(clean, seed=2), process.corrupt(some, seed=2)
        assert torch.equal(whole.state.tokens[rows], alone.state.tokens)
        assert torch.equal(whole.weights[rows], alone.weights)
        torch.testing.assert_close(
            process.likelihood(model, clean, draws=3, seed=2).nats[rows],
            process.likelihood(model, some, draws=3, seed=2).nats,
            atol=1e-3,
            rtol=1e-4,
        )


@every_case
@pytest.mark.parametrize("progress", [0.05, 0.9])
def test_the_loss_of_a_batch_is_the_mean_over_its_parts(process, tiny, batch, progress):
    model, clean = tiny(), batch(8, ragged=True)
    whole = process.loss(model, clean, seed=0, progress=progress)["loss"]
    halves = [process.loss(model, part(clean, slice(i, i + 4)), seed=0, progress=progress)["loss"] for i in (0, 4)]
    torch.testing.assert_close(whole, sum(halves) / 2)


@every_case
def test_a_batch_with_nothing_to_ask_still_calls_the_network_once_and_has_a_gradient(process, tiny, batch):
    model, clean = tiny(), batch(4)
    empty = replace(clean, tokens=torch.full_like(clean.tokens, clean.bos))
    calls = []
    loss = process.loss(lambda state, at: (calls.append(1), model(state, at=at))[1], empty, seed=0)["loss"]
    loss.backward()
    assert len(calls) == 1 and float(loss.detach()) == 0.0
    assert process.likelihood(model, empty, draws=2).nats.count_nonzero() == 0


@every_case
def test_the_mask_is_never_predicted(process, tiny, batch):
    model = tiny(tie_word_embeddings=False)
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
def test_the_likelihood_says_what_it_is(process, tiny, batch):
    clean = batch(ragged=True)
    likelihood = process.likelihood(tiny(), clean, draws=3, seed=0)
    assert likelihood.bound in ("exact", "upper bound") or likelihood.bound.startswith("exact for ")
    assert likelihood.draws == (3 if likelihood.bound == "upper bound" else 1)
    assert likelihood.nats.shape == (8,) and likelihood.nats.dtype == torch.float64
    assert (likelihood.nats > 0).all()


@every_case
def test_unknown_options_are_refused(process):
    with pytest.raises(ValueError, match="no_such_option"):
        process.Options(no_such_option=1)


def test_a_causal_network_that_sees_its_answer_is_refused(tiny):
    # The guard itself: without a shift, the causal state holds the asked token where its logits are made.
    options = PROCESSES.get("causal").Options()
    with pytest.raises(Error, match="output_shift"):
        PROCESSES.get("causal")(options, MASK).check(tiny(output_shift=0).config)
    warm = PROCESSES.get("masked").Options(causal_warmup=0.1)
    with pytest.raises(Error, match="output_shift"):
        PROCESSES.get("masked")(warm, MASK).check(tiny(output_shift=0).config)


@torch.no_grad()
def test_the_guard_against_leaks_catches_a_leak(tiny, batch):
    model, clean = tiny(output_shift=0), batch(1, 6)
    process = PROCESSES.get("causal")(PROCESSES.get("causal").Options(), MASK)
    other = clean.tokens.clone()
    other[0, 3] += 1
    a, b = (model(process.corrupt(replace(clean, tokens=x), 0).state).logits[3] for x in (clean.tokens, other))
    assert not torch.equal(a, b)
