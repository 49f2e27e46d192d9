"""Thoughts keep the promises of processes and networks: nothing hidden leaks through them, nothing crosses a border."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guards.parts import VOCABULARY, make_batch, make_process, network, over
from guards.processes import seeds_decide_the_noise
from guards.samplers import sampler_rows_stay_apart, skipped_calls_change_nothing
from unmask.data.batch import Batch
from unmask.diffusion.network_losses import training_loss
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.state import State
from unmask.diffusion.thought import Reading, Thought, ThoughtOptions
from unmask.diffusion.with_thoughts import Thinking
from unmask.errors import Error
from unmask.models.backbones import BACKBONES
from unmask.sampling import SAMPLERS, drives

PASSAGE = 5
SHAPED = [
    {"shape": (2, 3, 4)},
    {"shape": (3, 4), "stack": 1, "persist": False, "predict": "v"},
    {"shape": (2, 2, 2, 2), "axis": 1, "saliency": 1.0, "latent": 0.5},
]
CASES = [
    ("masked", "transformer", SHAPED[0]),
    ("masked", "transformer", SHAPED[1]),
    ("masked", "transformer", SHAPED[2]),
    ("masked", "eco", SHAPED[0]),
    ("masked", "eco", SHAPED[2]),
    ("sparse", "transformer", SHAPED[0]),
    ("sparse", "eco", SHAPED[1]),
    ("causal", "transformer", SHAPED[0]),
]
CASES += [
    ("masked", name, SHAPED[0])
    for name in BACKBONES
    if BACKBONES.get(name).keys.beside_text and name not in {backbone for _, backbone, _ in CASES}
]
every_case = over("name, backbone, thought", CASES)


def made(name, backbone, thought, passage=PASSAGE, **sizes):
    """Return a process over passages, and a network for it."""
    options = ThoughtOptions(passage=passage, **thought)
    inner = make_process(name)
    given = inner.options.network() | {"thought": options.model_dump(mode="json")} | sizes
    process, model = Thinking(inner, options), network(backbone, **given)
    process.check(model.config)
    return process, model


class Kept:
    """A network whose calls about states are kept, with its logits spread over the positions."""

    def __init__(self, model):
        self.model, self.calls = model, []

    def __call__(self, state, at=None):
        answer = self.model(state, at=at)
        if isinstance(state, State):
            full = torch.full((*state.tokens.shape, answer.logits.shape[-1]), torch.nan)
            full[at] = answer.logits.detach()
            self.calls.append((state, at, full))
        return answer


def bound_leaks(process, model, clean):
    """Tell whether the likelihood's predictions of a token depend on that token."""

    @torch.no_grad()
    def calls(batch):
        kept = Kept(model)
        process.likelihood(kept, batch, draws=2, seed=1)
        return kept.calls

    before = calls(clean)
    for column in range(1, clean.tokens.shape[1]):
        other = clean.tokens.clone()
        other[:, column] = torch.where(clean.predictable[:, column], 4 + (other[:, column] + 3) % 15, other[:, column])
        place = column % PASSAGE + 1
        rows = torch.arange(len(other)) * -(-clean.tokens.shape[1] // PASSAGE) + column // PASSAGE
        for (_, at, a), (_, then, b) in zip(before, calls(replace(clean, tokens=other)), strict=True):
            asked = at[rows, place] & then[rows, place]
            if not torch.equal(a[rows, place][asked], b[rows, place][asked]):
                return True
    return False


@every_case
def test_the_likelihood_never_shows_the_truth(name, backbone, thought):
    assert not bound_leaks(*made(name, backbone, thought), make_batch(4, 18, ragged=True))


def test_a_thought_that_is_not_pure_noise_in_the_likelihood_is_caught(monkeypatch):
    process, model = made("masked", "transformer", {"shape": (2, 3, 4)})
    honest = process._seen

    def leaking(model, cut, seed, share, change=None):
        return honest(model, cut, seed, torch.full((len(cut.batch.order),), 0.1), change)

    process.options_of_thought = process.options_of_thought.model_copy(update={"blind": 0.0})
    monkeypatch.setattr(process, "_seen", leaking)
    assert bound_leaks(process, model, make_batch(4, 18))


@every_case
def test_every_parameter_learns(name, backbone, thought):
    process, model = made(name, backbone, thought)
    model.train()
    training_loss(process, model, make_batch(8, 20), seed=0).loss.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert not silent
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


@every_case
def test_no_prediction_crosses_a_documents_border(name, backbone, thought):
    process, model = made(name, backbone, thought)
    clean = make_batch(4, 20, ragged=True)
    for piece in (1, 2):
        own = clean.predictable & (clean.segments == piece)
        elsewhere = clean.predictable & ~own
        changed = replace(clean, tokens=torch.where(elsewhere, 4 + (clean.tokens + 3) % 15, clean.tokens))
        with torch.no_grad():
            a, b = (process.likelihood(model, batch, draws=2, scored=own).nats for batch in (clean, changed))
        assert torch.equal(a, b)


@over("name, backbone, thought", [case for case in CASES if case[0] != "causal"])
def test_noise_has_one_source(name, backbone, thought):
    seeds_decide_the_noise(*made(name, backbone, thought), make_batch(4, 18))


@every_case
def test_rows_of_a_batch_do_not_mix(name, backbone, thought):
    process, model = made(name, backbone, thought)
    clean = make_batch(4, 18, ragged=True)
    with torch.no_grad():
        whole = process.likelihood(model, clean, draws=2).nats
        for row in range(4):
            alone = Batch(*(x[row : row + 1] for x in (clean.tokens, clean.segments, clean.order)), clean.bos)
            nats = process.likelihood(model, alone, draws=2).nats[0]
            torch.testing.assert_close(nats, whole[row], rtol=1e-5, atol=1e-4)  # float32 below the float64 sums


@every_case
def test_a_later_passage_sees_earlier_ones_through_its_stack_alone(name, backbone, thought):
    process, model = made(name, backbone, thought)
    clean = make_batch(2, 20)
    first = clean.tokens.clone()
    first[:, 1:4] = 4 + (first[:, 1:4] + 3) % 15

    def nats(tokens, change=None):
        batch = replace(clean, tokens=tokens)
        with torch.no_grad():
            return process.passage_nats(model, batch, draws=2, change=change).nats.view(2, -1)

    def absent(cut, stack, there):
        return torch.zeros_like(stack), torch.zeros_like(there)

    assert not torch.allclose(nats(clean.tokens)[:, 1], nats(first)[:, 1], atol=1e-6)
    assert torch.equal(nats(clean.tokens, absent)[:, 1:], nats(first, absent)[:, 1:])


@pytest.mark.parametrize("backbone", ["transformer", "eco"])
def test_thoughts_that_are_not_there_are_seen_by_nobody(backbone):
    _, model = made("masked", backbone, SHAPED[0])
    tokens = torch.randint(4, 20, (3, 6))
    cells, stack = torch.randn(3, 6, 4), torch.randn(3, 4, 3, 4)
    there = torch.tensor([[True, False, True, False]] * 3)
    shown = Thought(cells, torch.ones(3, 6), stack, there)
    other = replace(shown, stack=torch.where(there[..., None, None], stack, 100.0))
    with torch.no_grad():
        a, b = (model(State(tokens, t=torch.ones(3), thought=t)) for t in (shown, other))
    assert torch.equal(a.logits, b.logits)
    assert torch.equal(a.thought, b.thought)


def test_under_causal_visibility_no_future_comes_back_through_the_thoughts():
    _, model = made("causal", "transformer", SHAPED[0])
    tokens = torch.randint(4, 20, (2, 8))
    later = tokens.clone()
    later[:, 5:] = 4
    thought = Thought(torch.randn(2, 6, 4), torch.ones(2, 6), torch.randn(2, 4, 3, 4), torch.ones(2, 4) > 0)
    with torch.no_grad():
        a, b = (model(State(x, "causal", thought=thought)).logits.view(2, 8, -1)[:, :6] for x in (tokens, later))
    assert torch.equal(a, b)


def test_the_reader_reads_its_own_document_alone():
    _, model = made("masked", "transformer", SHAPED[0])
    tokens = torch.randint(4, 20, (2, 3, 6))
    valid = torch.ones_like(tokens, dtype=torch.bool)
    valid[:, 1, :2] = False
    follows = torch.tensor([[False, False, True]] * 2)
    other = torch.where(valid, tokens, 4 + (tokens + 3) % 15)
    before = other.clone()
    before[:, 0] = 5
    with torch.no_grad():
        a, b, c = (model(Reading(x, valid, follows)).read.cells for x in (tokens, other, before))
    assert torch.equal(a, b)
    assert torch.equal(a[:, 1:], c[:, 1:]), "a thought goes on into another document"
    torch.testing.assert_close(a.square().mean((-2, -1)), torch.ones(2, 3), atol=1e-4, rtol=0)


def test_a_thought_goes_on_from_the_one_before_it_wherever_the_reading_is_cut():
    _, model = made("masked", "transformer", SHAPED[0])
    tokens = torch.randint(4, 20, (2, 3, 6))
    valid, follows = torch.ones_like(tokens, dtype=torch.bool), torch.tensor([[False, True, True]] * 2)
    with torch.no_grad():
        whole = model(Reading(tokens, valid, follows)).read
        first = model(Reading(tokens[:, :1], valid[:, :1], follows[:, :1])).read
        rest = model(Reading(tokens[:, 1:], valid[:, 1:], follows[:, 1:], first.cells[:, -1])).read
    torch.testing.assert_close(torch.cat([first.cells, rest.cells], 1), whole.cells)


def test_other_thoughts_than_the_networks_are_refused():
    process, model = made("masked", "transformer", SHAPED[0])
    tokens, stack = torch.full((1, 4), 5), (torch.zeros(1, 4, 3, 4), torch.ones(1, 4) > 0)
    with pytest.raises(Error, match="6 cells of 4 channels"):
        model(State(tokens, thought=Thought(torch.zeros(1, 2, 4), torch.ones(1, 2), *stack)))
    with pytest.raises(Error, match="takes no thoughts"):
        network("transformer")(State(tokens, thought=Thought(torch.zeros(1, 6, 4), torch.ones(1, 6), *stack)))
    with pytest.raises(Error, match="reads no thoughts"):
        network("eco")(Reading(tokens[None], tokens[None] > 0, torch.zeros(1, 1, dtype=torch.bool)))
    with pytest.raises(Error, match="was not made for this section"):
        Thinking(process.inner, ThoughtOptions(shape=(2, 4))).check(model.config)
    with pytest.raises(Error, match="two mechanisms"):
        made("sparse", "transformer", {"shape": (2, 3, 4), "latent": 0.5})
    with pytest.raises(Error, match="left to right there is one"):
        made("causal", "transformer", {"shape": (2, 3, 4), "latent": 0.5})


def test_a_row_of_one_passage_has_the_inner_processs_likelihood_without_a_thought():
    process, model = made("masked", "transformer", {"shape": None})
    clean = make_batch(4, PASSAGE)
    with torch.no_grad():
        own = process.likelihood(model, clean, draws=2, seed=1).nats
        padded = torch.nn.functional.pad(clean.tokens, (1, 0), value=VOCABULARY.bos)
        segments = torch.nn.functional.pad(clean.segments, (1, 0))
        inner = process.inner.likelihood(model, replace(clean, tokens=padded, segments=segments), draws=2, seed=1).nats
    torch.testing.assert_close(own, inner)


MINDS = [
    (*case, name)
    for case in [CASES[2], CASES[4], CASES[5], CASES[7]]
    for name in SAMPLERS
    if drives(SAMPLERS.facts(name), PROCESSES.get(case[0])) and name != "speculative"  # which refuses thoughts
]
"""Thoughts with latents in both networks, thoughts with candidates, thoughts left to right."""


@over("name, backbone, thought, sampler", MINDS)
def test_texts_with_thoughts_do_not_depend_on_batch_mates_whatever_settings_these_have(
    name, backbone, thought, sampler
):
    _, model = made(name, backbone, thought, passage=24)  # canvases have up to 22 tokens
    sampler_rows_stay_apart(model, SAMPLERS.get(sampler)(), rows=4)


@over("name, backbone, thought, sampler", [m for m in MINDS if m[-1] in ("ancestral", "remasking")])
def test_calls_that_would_have_left_a_thought_or_a_latent_are_not_left_out(name, backbone, thought, sampler):
    _, model = made(name, backbone, thought)
    skipped_calls_change_nothing(model, SAMPLERS.get(sampler)())
