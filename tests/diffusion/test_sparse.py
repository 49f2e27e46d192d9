"""Sparse distribution diffusion: masked diffusion with hints, and exactly masked diffusion without them."""

from dataclasses import replace

import pytest
import torch

from unmask.certificates.worlds import HMM, all_texts
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.sparse import Sparse, SparseOptions, top_candidates
from unmask.diffusion.state import Prediction, SparseState, State
from unmask.errors import Error

MASK = 3
ALWAYS = {"candidate_rate": 1.0, "candidate_ramp": 0.0}


def sparse(**options) -> Sparse:
    return Sparse(SparseOptions(**options), Vocabulary())


@pytest.mark.parametrize("shared", [{}, {"weighting": "elbo", "schedule": "cosine"}, {"causal_warmup": 0.3}])
@pytest.mark.parametrize("progress", [0.1, 1.0])
def test_without_candidates_it_is_masked_diffusion_bit_for_bit(tiny, batch, shared, progress):
    clean = batch(8, ragged=True)
    found = []
    for process in (sparse(candidates=0, **shared), Masked(MaskedOptions(**shared), Vocabulary())):
        model = tiny().train()
        loss = process.loss(model, clean, seed=3, progress=progress)["loss"]
        loss.backward()
        bound = process.likelihood(model, clean, draws=3, seed=3)
        gradients = [p.grad for p in model.parameters()]
        found.append((loss.detach(), bound.nats.detach(), gradients, bound.draws, process.asked_share))
    (a, b) = found
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and a[3:] == b[3:]
    assert all(torch.equal(x, y) for x, y in zip(a[2], b[2], strict=True))


def test_the_coin_has_its_own_random_stream(tiny, batch):
    clean = batch(8)
    masks = []
    for process in (sparse(**ALWAYS), sparse(candidate_rate=0.3), Masked(MaskedOptions(), Vocabulary())):
        seen = []

        def look(state, at, seen=seen):
            seen.append(state)
            return Prediction(torch.zeros(int(at.sum()), 23, requires_grad=True))

        process.loss(look, clean, seed=5)
        masks.append(seen[-1].tokens)
    assert torch.equal(masks[0], masks[1]) and torch.equal(masks[0], masks[2])


def test_candidates_are_the_models_own_answer_to_a_noisier_state_of_the_same_trajectory(spy, batch):
    clean = batch(16, 24)
    process, seen = sparse(candidates=2, candidate_steps=(4, 4), **ALWAYS), spy()
    process.loss(seen, clean, seed=1)
    (first, asked), (second, at) = seen.calls
    assert first.candidates is None
    hidden, earlier = second.tokens == MASK, first.tokens == MASK
    assert (earlier | ~hidden).all(), "what is hidden now was hidden before"
    assert (earlier & ~hidden).any(), "and more was"
    assert torch.equal(asked, hidden) and torch.equal(at, hidden), "candidates are asked where they are needed"
    mass = second.candidates.mass
    assert mass.shape[-1] == 2 and (mass[~hidden] == 0).all()
    assert torch.allclose(mass[hidden], torch.tensor(1 / 22)), "true softmax values without the mask, not renormalised"
    assert torch.allclose(second.candidates.rest[hidden], torch.tensor(20 / 22))
    torch.testing.assert_close(first.t, earlier.sum(1) / 23, check_dtype=False)


def test_with_two_passes_the_candidates_come_from_an_answer_that_had_candidates(spy, batch):
    clean = batch(16, 24)
    process, seen = sparse(candidates=2, candidate_passes=2, candidate_steps=(8, 8), **ALWAYS), spy()
    process.loss(seen, clean, seed=1)
    (first, _), (second, between), (third, at) = seen.calls
    hidden = [state.tokens == MASK for state in (first, second, third)]
    assert (hidden[0] | ~hidden[1]).all() and (hidden[1] | ~hidden[2]).all(), "three states of one trajectory"
    assert (hidden[0] & ~hidden[1]).any() and (hidden[1] & ~hidden[2]).any()
    assert first.candidates is None and torch.equal(between, hidden[2]) and torch.equal(at, hidden[2])
    assert torch.equal(second.candidates.mass.sum(-1) > 0, hidden[1])
    assert torch.equal(third.candidates.mass.sum(-1) > 0, hidden[2])
    found = process.likelihood(seen, clean, draws=3)
    assert found.draws == 9 and len(seen.calls) == 3 + 9


def test_no_gradient_flows_through_the_first_pass(tiny, batch):
    process, model, clean = sparse(**ALWAYS), tiny(candidate_input="pooled").train(), batch(4)
    graphs = []

    def watch(state, at):
        answer = model(state, at=at)
        graphs.append(answer.logits.requires_grad)
        return answer

    process.loss(watch, clean, seed=0)["loss"].backward()
    assert graphs == [False, True]


def test_candidates_are_ramped_in_and_their_number_doubles_over_masked_training():
    process = sparse(candidates=8, candidates_from=1, candidate_rate=0.6, candidate_ramp=0.5, causal_warmup=0.2)
    assert [process.rate(p) for p in (0.2, 0.4, 0.6, 1.0)] == pytest.approx([0, 0.3, 0.6, 0.6])
    assert [process.count(p) for p in (0.2, 0.41, 0.61, 0.81, 1.0)] == [1, 2, 4, 8, 8]
    assert sparse(candidates=4).count(0.0) == 4


def test_candidates_help_when_they_should_and_the_bound_says_so(batch):
    """A network that restores only what its candidates name: with candidates its bound falls."""
    clean = batch(4, 12)

    def copies(state: State, at) -> Prediction:
        logits = torch.zeros(int(at.sum()), 23)
        if state.candidates is None:
            logits.scatter_(1, clean.tokens[at][:, None], 1.0)
        else:
            best = state.candidates.tokens[at][:, :1]
            logits.scatter_(1, best, 4.0 * (state.candidates.mass[at][:, :1] > 0))
        return Prediction(logits)

    with_hints = sparse(candidates=1).likelihood(copies, clean, draws=4).nats
    without = sparse(candidates=0).likelihood(copies, clean, draws=4).nats
    assert (with_hints < without).all()
    assert sparse(candidates=1).likelihood(copies, clean, draws=4).draws == 8, "both passes are counted"


@pytest.mark.parametrize(("sharpen", "passes"), [(0.0, 1), (0.5, 1), (2.0, 1), (0.5, 2)])
def test_the_bound_is_never_below_the_entropy_whatever_the_network_makes_of_its_candidates(sharpen, passes):
    """The network knows the source, and leans on its candidates on top of it."""
    world = HMM.random(seed=4)
    texts = all_texts(3, 4)
    p = (-world.nats(texts)).exp()
    clean = world.batch(texts)
    process = Sparse(SparseOptions(candidates=2, bound_steps=3, candidate_passes=passes), world.vocabulary)

    def leaning(state: State, at) -> Prediction:
        logits = world(replace(state, candidates=None), at).logits
        if state.candidates is not None:
            extra = torch.zeros(*state.tokens.shape, logits.shape[-1], dtype=logits.dtype)
            extra.scatter_add_(2, state.candidates.tokens, sharpen * state.candidates.mass.to(extra.dtype))
            logits = logits + extra[at]
        return Prediction(logits)

    each = torch.stack([(p * process.likelihood(leaning, clean, draws=4, seed=s).nats).sum() for s in range(60)])
    cross, error, entropy = float(each.mean()), float(each.std()) / 60**0.5, float(-(p * p.log()).sum())
    assert cross > entropy - 3 * error and error < 0.012 * entropy
    if sharpen == 0:
        assert abs(cross - entropy) < 3 * error, "a perfect network in random order reaches it"
    if sharpen == 2.0:
        assert cross > entropy + 3 * error


def test_top_candidates_keep_true_masses_and_leave_the_rest():
    at = torch.tensor([[False, True], [True, True]])
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 9.0], [5.0, 1.0, 1.0]])
    found = top_candidates(logits, at, 2)
    p = logits.softmax(-1)
    assert found.tokens[0, 1].tolist() == [2, 1] and torch.allclose(found.mass[0, 1], p[0, [2, 1]])
    assert (found.mass[0, 0] == 0).all() and torch.allclose(found.rest[1, 0], p[1, 0], atol=1e-6)
    assert top_candidates(logits, at, 5).mass.shape[-1] == 5, "more candidates than tokens: the others have no mass"


@pytest.mark.parametrize("kind", ["pooled", "full"])
@torch.no_grad()
def test_candidates_change_the_answer_where_they_are_and_no_mass_changes_nothing(tiny, batch, kind):
    model, clean = tiny(candidate_input=kind), batch(3, 10)
    hidden = torch.zeros_like(clean.tokens, dtype=torch.bool)
    hidden[:, 4:7] = True
    state = State(clean.tokens.masked_fill(hidden, MASK))
    given = top_candidates(torch.randn(int(hidden.sum()), 23, generator=torch.Generator().manual_seed(0)), hidden, 3)
    plain = model(state).logits
    assert (model(replace(state, candidates=given)).logits - plain).abs().max() > 1e-2
    nothing = SparseState(given.tokens, torch.zeros_like(given.mass))
    torch.testing.assert_close(model(replace(state, candidates=nothing)).logits, plain, atol=1e-5, rtol=1e-5)
    if kind == "pooled":
        assert torch.equal(model(replace(state, candidates=nothing)).logits, plain)


def test_a_network_that_takes_no_candidates_is_refused(tiny):
    with pytest.raises(Error, match="candidate_input=pooled"):
        sparse(candidates=2).check(tiny().config)
    sparse(candidates=0).check(tiny().config)
    sparse(candidates=2).check(tiny(candidate_input="full").config)
    with pytest.raises(Error, match="choose pooled, full or null"):
        tiny(candidate_input="sideways")


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="candidate_steps"):
        SparseOptions(candidate_steps=(8, 4))
    with pytest.raises(ValueError, match="candidates_from"):
        SparseOptions(candidates=2, candidates_from=4)
