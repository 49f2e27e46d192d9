"""Evidence beside any process: nothing of a text is told by what its own beginning found, and it is never a need."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from guards.guard import Uniform
from guards.parts import IDS, make_batch, make_process, network, over
from guards.processes import (
    every_parameter_learns,
    hidden_truth_stays_hidden,
    seeds_decide_the_noise,
)
from unmask.data.evidence import Evidence
from unmask.diffusion.passages import passages
from unmask.diffusion.thought import ThoughtOptions
from unmask.diffusion.with_evidence import Evident
from unmask.diffusion.with_thoughts import Thinking
from unmask.errors import Error

WIDTH, TEXTS, QUERY = 6, 2, 4
CASES = [("masked", "transformer"), ("masked", "eco"), ("sparse", "transformer"), ("sparse", "eco")]
CASES += [("causal", "transformer")]
every_case = over("name, backbone", CASES)


def made(name, backbone, dropout=0.0, **sizes):
    inner = make_process(name)
    process = Evident(inner, dropout)
    model = network(backbone, **(inner.options.network() | {"memory_width": WIDTH} | sizes))
    process.check(model.config)
    return process, model


def embedded(tokens):
    """Return vectors that tell every token of a query."""
    table = torch.randn(IDS, WIDTH, generator=torch.Generator().manual_seed(5))
    weight = torch.arange(1, tokens.shape[-1] + 1)[:, None]
    found = (table[tokens] * weight).sum(-2)
    return torch.stack([found, found.flip(-1)], -2)


def informed(batch, given=True):
    """Return a batch with what the beginnings of its documents find: it is made anew from the tokens."""
    rows, length = batch.tokens.shape
    count = int(batch.segments.max())
    vectors = torch.zeros(rows, count * TEXTS, WIDTH)
    owner = torch.zeros(rows, count * TEXTS, dtype=torch.int64)
    shown = torch.zeros(rows, length, dtype=torch.bool)
    for row in range(rows):
        for piece in range(1, count + 1):
            columns = (batch.segments[row] == piece).nonzero()[:, 0]
            if len(columns) <= QUERY + 1:
                continue
            query = columns[1 : 1 + QUERY]
            at = slice((piece - 1) * TEXTS, piece * TEXTS)
            vectors[row, at], owner[row, at] = embedded(batch.tokens[row, query]), piece
            shown[row, query] = given
    return replace(batch, evidence=Evidence(vectors, owner > 0, owner, shown))


class Looking(Evident):
    """The process as it is used: evidence is looked up from the beginning of whatever text it is given."""

    def __init__(self, inner, dropout, given):
        super().__init__(inner, dropout)
        self.given = given

    def _kept(self, batch, seed):
        return super()._kept(informed(batch, self.given), seed)

    def likelihood(self, model, batch, draws=8, seed=0, scored=None):
        return super().likelihood(model, informed(batch, self.given), draws, seed, scored)


@every_case
def test_hidden_truth_never_reaches_the_logits_through_evidence(name, backbone):
    inner, model = made(name, backbone)
    batch = make_batch(rows=6, length=12, ragged=True)
    hidden_truth_stays_hidden(Looking(inner.inner, 0.3, given=True), model, batch)


@pytest.mark.parametrize("name, backbone", [("masked", "eco"), ("causal", "transformer")])
def test_evidence_whose_query_is_asked_would_be_caught(name, backbone):
    inner, model = made(name, backbone)
    with pytest.raises(AssertionError, match="hidden truth never reaches the logits"):
        hidden_truth_stays_hidden(Looking(inner.inner, 0.0, given=False), model, make_batch(rows=4, length=10))


@every_case
def test_queries_are_given_and_the_noise_level_is_that_of_the_whole_text(name, backbone):
    process, _ = made(name, backbone)
    batch = informed(make_batch(ragged=True))
    corrupted = process.corrupt(batch, seed=3)
    given = batch.evidence.given
    assert given.any() and torch.equal(corrupted.state.tokens[given], batch.tokens[given])
    assert not corrupted.weights[given].any() and corrupted.weights.any()
    assert torch.equal(corrupted.state.memory.vectors, batch.evidence.vectors)
    if corrupted.state.t is not None:
        hidden = corrupted.state.tokens != batch.tokens
        torch.testing.assert_close(corrupted.state.t, hidden.sum(1) / batch.predictable.sum(1))


@every_case
def test_a_row_that_loses_its_evidence_trains_as_one_without(name, backbone):
    process, model = made(name, backbone, dropout=0.999999)
    batch = make_batch(rows=4, ragged=True)
    with_query = informed(batch)
    plain = informed(batch)
    plain = replace(
        plain, evidence=plain.evidence.only(torch.zeros(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool))
    )
    seed = next(s for s in range(200) if not process._kept(with_query, s).evidence.given.any())
    got, wanted = process.loss(model, with_query, seed)["loss"], process.inner.loss(model, batch, seed)["loss"]
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(process.loss(model, plain, seed)["loss"], wanted)


def test_half_of_the_rows_without_evidence_have_a_query():
    process, _ = made("masked", "eco", dropout=0.4)
    batch = informed(make_batch(rows=2000))
    kept = process._kept(batch, seed=1).evidence
    assert abs(float((~kept.valid.any(1)).float().mean()) - 0.4) < 0.035  # 3 standard errors
    assert abs(float((~kept.given.any(1)).float().mean()) - 0.2) < 0.03
    assert not (kept.valid.any(1) & ~kept.given.any(1)).any()
    part = replace(batch, tokens=batch.tokens[7:9], segments=batch.segments[7:9], order=batch.order[7:9])
    own = process._kept(informed(part), seed=1).evidence
    assert torch.equal(own.valid, kept.valid[7:9]) and torch.equal(own.given, kept.given[7:9])


@every_case
def test_a_likelihood_with_evidence_is_of_what_lies_behind_the_query(name, backbone):
    process, model = made(name, backbone)
    batch = make_batch(rows=3)
    behind = torch.arange(16).expand(3, -1) > QUERY
    with torch.no_grad():
        plain = process.inner.likelihood(model, batch, 4, 2, scored=behind).nats
        none = informed(batch)
        none = replace(none, evidence=replace(none.evidence, valid=torch.zeros_like(none.evidence.valid)))
        torch.testing.assert_close(process.likelihood(model, none, 4, 2).nats, plain, atol=1e-3, rtol=1e-5)
        assert (process.likelihood(model, informed(batch), 4, 2).nats - plain).abs().min() > 1e-3
        torch.testing.assert_close(
            process.likelihood(model, batch, 4, 2).nats, process.inner.likelihood(model, batch, 4, 2).nats
        )


@every_case
def test_evidence_stays_in_its_document(name, backbone):
    process, model = made(name, backbone)
    batch = informed(make_batch(rows=3, length=24, ragged=True))
    second = batch.segments == 2
    other = torch.where((batch.evidence.segments == 1)[..., None], 9.0, batch.evidence.vectors)
    changed = replace(batch, evidence=replace(batch.evidence, vectors=other))
    with torch.no_grad():
        nats = [process.likelihood(model, b, 4, 2, scored=second).nats for b in (batch, changed)]
        torch.testing.assert_close(nats[0], nats[1], rtol=1e-5, atol=1e-4)
        first = torch.where((batch.evidence.segments == 2)[..., None], 9.0, batch.evidence.vectors)
        moved = replace(batch, evidence=replace(batch.evidence, vectors=first))
        assert not torch.equal(process.likelihood(model, moved, 4, 2, scored=second).nats, nats[0])


@every_case
def test_seeds_decide_and_every_parameter_learns(name, backbone):
    process, model = made(name, backbone)
    seeds_decide_the_noise(process, model, informed(make_batch(ragged=True)))
    every_parameter_learns(process, model, informed(make_batch(rows=32, ragged=True)))


@pytest.mark.parametrize("name", ["masked", "sparse", "causal"])
def test_a_uniform_model_scores_ln_v_of_what_is_asked(name):
    batch = informed(make_batch(ragged=True))
    nats = Evident(make_process(name), 0.2).likelihood(Uniform(IDS), batch, draws=3).nats.detach()
    asked = batch.predictable & ~batch.evidence.given
    torch.testing.assert_close(nats, asked.sum(1).double() * math.log(IDS - 1), atol=1e-3, rtol=1e-5)


def test_passages_of_a_document_have_its_evidence_and_no_other():
    batch = informed(make_batch(rows=4, length=16, ragged=True))
    cut = passages(batch, 5).batch
    assert torch.equal(cut.evidence.given.sum(), batch.evidence.given.sum())
    for row in range(len(cut.tokens)):
        block = row // 4
        owners = cut.evidence.segments[row][cut.evidence.valid[row]]
        assert set(owners.tolist()) <= set(cut.segments[row].tolist()) - {0}
        wanted = batch.evidence.valid[block] & torch.isin(batch.evidence.segments[block], cut.segments[row])
        assert torch.equal(cut.evidence.valid[row], wanted)
    assert torch.equal(cut.tokens[cut.evidence.given], batch.tokens[batch.evidence.given])


@pytest.mark.parametrize("name, backbone", [("masked", "transformer"), ("sparse", "eco")])
def test_thoughts_and_evidence_together_hide_the_truth(name, backbone):
    options = ThoughtOptions(shape=(2, 2, 4), passage=6)
    inner, model = made(name, backbone, thought=options.model_dump(mode="json"))
    process = Thinking(inner, options)
    process.check(model.config)
    batch = make_batch(rows=3, length=18)

    def answers(clean):
        with torch.no_grad():
            return process.passage_nats(model, informed(clean), 2, 1).nats.view(3, -1)

    before = answers(batch)
    other = batch.tokens.clone()
    other[:, -1] = 4 + (other[:, -1] + 3) % 15  # the last token: asked in the last passage alone
    after = answers(replace(batch, tokens=other))
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert torch.isfinite(process.loss(model, informed(batch), 1)["loss"])
    bare = process.passage_nats(model, batch, 2, 1).nats.view(3, -1)
    assert (bare - before).abs().min() > 1e-4  # every passage reads the evidence of its document's beginning


@pytest.mark.parametrize(
    "name, sizes, message",
    [
        ("masked", {"memory_width": 0}, "memory_width"),
        ("sparse_flatten", {}, "sparse_flatten"),
        ("sparse", {"candidate_input": "full"}, "pooled"),
    ],
)
def test_what_cannot_have_evidence_says_so(name, sizes, message):
    with pytest.raises(Error, match=message):
        made(name, "transformer", **sizes)


def test_documents_that_are_not_isolated_have_no_evidence():
    process = Evident(make_process("masked", isolate_documents=False), 0.2)
    with pytest.raises(Error, match="isolate_documents"):
        process.check(network("eco", memory_width=WIDTH).config)
